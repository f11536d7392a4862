/**
 * What a writer does at its start: the design's table "When a new generation begins" as data. Pure; the facts are
 * gathered in `start.ts`.
 */
import type { GenerationReason } from '../layout/generation-document.ts';

/** The local log. `based`: it starts above 0, and a snapshot stands at or after its start − 1. */
export type LocalLogState = 'absent' | 'from-zero' | 'above-zero-based' | 'above-zero-baseless';

/**
 * The head in the store. `empty`: neither head nor generation. `headless`: generations without a head. `dead`: held by a
 * process that is proven dead, or whose lease has run out, or by this process before. `unproven`: held by a process that
 * may live.
 */
export type HeadState = 'empty' | 'headless' | 'released' | 'dead' | 'unproven';

/**
 * How the local log stands to what is stored. `nothing-stored`: there is nothing to compare with. `gap`: it starts after
 * the stored position + 1. `shorter`: it ends before the stored position. `differs`: a checksum is another one.
 */
export type Agreement = 'nothing-stored' | 'agrees' | 'shorter' | 'differs' | 'gap';

/** A commit or segment that is bad or missing locally; `based`: a snapshot stands behind it, with its own commit. */
export type DamageState = 'none' | 'based' | 'baseless';

export interface StartFacts {
  readonly local: LocalLogState;
  readonly head: HeadState;
  /** Whether the backup is another owner's. */
  readonly otherOwner: boolean;
  /** Whether another owner's backup may be taken. */
  readonly takeover: boolean;
  readonly agreement: Agreement;
  readonly damage: DamageState;
  /** Whether any line of the store has a commit in common with the local log; looked for where it matters. */
  readonly common: boolean;
  /** Whether the newest snapshot and the stored generation name two databases. Unknown differs from nothing. */
  readonly otherIdentity: boolean;
  /** Whether the store honours conditional writes; without them nobody may continue another's generation. */
  readonly conditional: boolean;
}

/**
 * Where a new generation branches off. `stored`: at the stored position. `common`: at the last common point. `none`: it
 * begins by itself, where the local log does. `base`: by itself, at the own commit of the snapshot behind the damage.
 */
export type BeginsAt = 'stored' | 'common' | 'none' | 'base';

export type StartDecision =
  | { readonly kind: 'wait-for-log' }
  | { readonly kind: 'wait-for-lease' }
  /** For a snapshot without which nothing that is stored could be restored. */
  | { readonly kind: 'wait-for-base'; readonly because: 'log-start' | 'damage' }
  | { readonly kind: 'continue' }
  | { readonly kind: 'begin'; readonly reason: GenerationReason; readonly at: BeginsAt }
  | { readonly kind: 'stop'; readonly because: 'other-owner' };

interface Row {
  readonly when: (facts: StartFacts) => boolean;
  readonly outcome: StartDecision;
}

const begin = (reason: GenerationReason, at: BeginsAt): StartDecision => ({ kind: 'begin', reason, at });
const WAIT_FOR_LOG_BASE: StartDecision = { kind: 'wait-for-base', because: 'log-start' };

const isStored = ({ head }: StartFacts): boolean => head !== 'empty';
const isBaseless = ({ local }: StartFacts): boolean => local === 'above-zero-baseless';
const parted = ({ agreement }: StartFacts): boolean => ['shorter', 'differs', 'gap'].includes(agreement);
/** A generation is gone on with only by its owner, after a clean release, where nobody can have been quicker unseen. */
const mayContinue = ({ head, otherOwner, conditional }: StartFacts): boolean =>
  head === 'released' && !otherOwner && conditional;

/** The first row that holds decides. Each row may rely on those above it. */
const ROWS: readonly Row[] = [
  { when: ({ local }) => local === 'absent', outcome: { kind: 'wait-for-log' } },
  {
    when: (facts) => isStored(facts) && facts.otherOwner && !facts.takeover,
    outcome: { kind: 'stop', because: 'other-owner' },
  },
  { when: ({ head }) => head === 'unproven', outcome: { kind: 'wait-for-lease' } },

  { when: (facts) => isStored(facts) && facts.otherIdentity && isBaseless(facts), outcome: WAIT_FOR_LOG_BASE },
  { when: (facts) => isStored(facts) && facts.otherIdentity, outcome: begin('replaced', 'none') },

  { when: (facts) => parted(facts) && facts.common, outcome: begin('rolled-back', 'common') },
  { when: (facts) => parted(facts) && isBaseless(facts), outcome: WAIT_FOR_LOG_BASE },
  { when: (facts) => parted(facts) && facts.local === 'above-zero-based', outcome: begin('gap', 'none') },
  { when: parted, outcome: begin('rolled-back', 'none') },

  { when: ({ damage }) => damage === 'based', outcome: begin('damaged', 'base') },
  { when: ({ damage }) => damage === 'baseless', outcome: { kind: 'wait-for-base', because: 'damage' } },

  { when: (facts) => facts.agreement === 'agrees' && mayContinue(facts), outcome: { kind: 'continue' } },
  { when: ({ agreement }) => agreement === 'agrees', outcome: begin('takeover', 'stored') },

  // Nothing of this generation is stored. Another line may hold what the local log goes on from.
  { when: (facts) => isStored(facts) && facts.common, outcome: begin('rolled-back', 'common') },
  { when: isBaseless, outcome: WAIT_FOR_LOG_BASE },
  { when: (facts) => !isStored(facts), outcome: begin('first', 'none') },
  { when: mayContinue, outcome: { kind: 'continue' } },
  { when: () => true, outcome: begin('takeover', 'none') },
];

export function decideStart(facts: StartFacts): StartDecision {
  const row = ROWS.find(({ when }) => when(facts));
  // The last row always holds.
  return (row as Row).outcome;
}
