// Invariant: every combination of facts has one outcome; a log that is not the continuation of what is stored is never
// appended to it, and another owner's head is never taken.
import { describe, expect, test } from 'vitest';
import {
  type Agreement,
  decideStart,
  type HeadState,
  type LocalLogState,
  type StartDecision,
  type StartFacts,
} from './start-decision.ts';

const locals: LocalLogState[] = ['absent', 'from-zero', 'above-zero-based', 'above-zero-baseless'];
const heads: HeadState[] = ['empty', 'headless', 'released', 'dead', 'unproven', 'other-owner'];
const agreements: Agreement[] = ['nothing-stored', 'agrees', 'shorter', 'differs', 'gap'];

const every: StartFacts[] = locals.flatMap((local) =>
  heads.flatMap((head) =>
    agreements.flatMap((agreement) =>
      [false, true].flatMap((otherIdentity) =>
        [false, true].map((conditional) => ({ local, head, agreement, otherIdentity, conditional })),
      ),
    ),
  ),
);

const name = (decision: StartDecision): string =>
  decision.kind === 'begin'
    ? `begin ${decision.reason}${decision.parent ? ' with parent' : ''}`
    : decision.kind === 'stop'
      ? `stop ${decision.because}`
      : decision.kind;

/** The same rules said once more, by outcome instead of by order. */
function expected({ local, head, agreement, otherIdentity, conditional }: StartFacts): string {
  if (local === 'absent') return 'wait-for-log';
  if (head === 'other-owner') return 'stop other-owner';
  if (head === 'unproven') return 'wait-for-lease';
  if (otherIdentity && head !== 'empty') return 'stop replaced';
  switch (agreement) {
    case 'gap':
      return 'stop gap';
    case 'shorter':
    case 'differs':
      return 'stop rolled-back';
    case 'agrees':
      return head === 'released' && conditional ? 'continue' : 'begin takeover with parent';
    case 'nothing-stored':
      if (local === 'above-zero-baseless') return 'stop no-base';
      return head === 'empty' ? 'begin first' : 'begin takeover';
  }
}

describe('decideStart', () => {
  test(`all ${every.length} combinations`, () => {
    expect(every).toHaveLength(4 * 6 * 5 * 2 * 2);
    for (const facts of every) expect({ facts, is: name(decideStart(facts)) }).toEqual({ facts, is: expected(facts) });
  });

  test('nothing is written in another owner’s or a living process’s place', () => {
    for (const facts of every.filter(({ head }) => head === 'other-owner' || head === 'unproven')) {
      expect(['wait-for-log', 'wait-for-lease', 'stop']).toContain(decideStart(facts).kind);
    }
  });
});
