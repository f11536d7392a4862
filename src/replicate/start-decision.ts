/**
 * What a writer does at its start: the design's table "When a new generation begins" as data. Pure; the facts are
 * gathered in `start.ts`.
 */

/** The local log. `based`: it starts above 0, and a complete snapshot stands at or after its start − 1. */
export type LocalLogState = 'absent' | 'from-zero' | 'above-zero-based' | 'above-zero-baseless';

/**
 * The head in the store. `headless`: generations without a head. `dead`: held by our owner, whose process is proven
 * dead, or whose lease has run out. `unproven`: held by our owner, by a process that may live.
 */
export type HeadState = 'empty' | 'headless' | 'released' | 'dead' | 'unproven' | 'other-owner';

/**
 * How the local log stands to what is stored. `nothing-stored`: there is nothing to compare with. `gap`: it starts after
 * the stored position + 1. `shorter`: it ends before the stored position. `differs`: a checksum is another one.
 */
export type Agreement = 'nothing-stored' | 'agrees' | 'shorter' | 'differs' | 'gap';

export interface StartFacts {
  readonly local: LocalLogState;
  readonly head: HeadState;
  readonly agreement: Agreement;
  /** Whether the newest snapshot and the stored generation name two databases. Unknown differs from nothing. */
  readonly otherIdentity: boolean;
  /** Whether the store honours conditional writes; without them nobody may continue another's generation. */
  readonly conditional: boolean;
}

export type StartDecision =
  | { readonly kind: 'wait-for-log' }
  | { readonly kind: 'wait-for-lease' }
  | { readonly kind: 'continue' }
  /** `parent`: whether the new generation branches from the last common position, or begins by itself. */
  | { readonly kind: 'begin'; readonly reason: 'first' | 'takeover'; readonly parent: boolean }
  | {
      readonly kind: 'stop';
      readonly because: 'other-owner' | 'replaced' | 'gap' | 'rolled-back' | 'no-base';
    };

interface Row {
  readonly when: (facts: StartFacts) => boolean;
  readonly outcome: StartDecision;
}

const stop = (because: Extract<StartDecision, { kind: 'stop' }>['because']): StartDecision => ({
  kind: 'stop',
  because,
});

/** The first row that holds decides. Each row may rely on those above it. */
const ROWS: readonly Row[] = [
  { when: ({ local }) => local === 'absent', outcome: { kind: 'wait-for-log' } },
  { when: ({ head }) => head === 'other-owner', outcome: stop('other-owner') },
  { when: ({ head }) => head === 'unproven', outcome: { kind: 'wait-for-lease' } },
  { when: ({ head, otherIdentity }) => head !== 'empty' && otherIdentity, outcome: stop('replaced') },
  { when: ({ agreement }) => agreement === 'gap', outcome: stop('gap') },
  { when: ({ agreement }) => agreement === 'shorter' || agreement === 'differs', outcome: stop('rolled-back') },
  {
    when: ({ head, agreement, conditional }) => head === 'released' && agreement === 'agrees' && conditional,
    outcome: { kind: 'continue' },
  },
  { when: ({ agreement }) => agreement === 'agrees', outcome: { kind: 'begin', reason: 'takeover', parent: true } },
  { when: ({ local }) => local === 'above-zero-baseless', outcome: stop('no-base') },
  { when: ({ head }) => head === 'empty', outcome: { kind: 'begin', reason: 'first', parent: false } },
  { when: () => true, outcome: { kind: 'begin', reason: 'takeover', parent: false } },
];

export function decideStart(facts: StartFacts): StartDecision {
  const row = ROWS.find(({ when }) => when(facts));
  // The last row always holds.
  return (row as Row).outcome;
}
