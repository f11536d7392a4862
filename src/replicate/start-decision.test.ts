// Invariant: every combination of facts has one outcome; a log that is not the continuation of what is stored is never
// appended to it, another owner's head is never taken unasked, and nothing begins that could not be restored.
import { describe, expect, test } from 'vitest';
import {
  type Agreement,
  type DamageState,
  decideStart,
  type HeadState,
  type LocalLogState,
  type StartDecision,
  type StartFacts,
} from './start-decision.ts';

const locals: LocalLogState[] = ['absent', 'from-zero', 'above-zero-based', 'above-zero-baseless'];
const heads: HeadState[] = ['empty', 'headless', 'released', 'dead', 'unproven'];
const agreements: Agreement[] = ['nothing-stored', 'agrees', 'shorter', 'differs', 'gap'];
const damages: DamageState[] = ['none', 'based', 'baseless'];
const flags = [false, true];

const every: StartFacts[] = locals.flatMap((local) =>
  heads.flatMap((head) =>
    agreements.flatMap((agreement) =>
      damages.flatMap((damage) =>
        flags.flatMap((otherOwner) =>
          flags.flatMap((takeover) =>
            flags.flatMap((common) =>
              flags.flatMap((otherIdentity) =>
                flags.map((conditional) => ({
                  local,
                  head,
                  agreement,
                  damage,
                  otherOwner,
                  takeover,
                  common,
                  otherIdentity,
                  conditional,
                })),
              ),
            ),
          ),
        ),
      ),
    ),
  ),
);

const name = (decision: StartDecision): string =>
  decision.kind === 'begin'
    ? `begin ${decision.reason} at ${decision.at}`
    : 'because' in decision
      ? `${decision.kind} ${decision.because}`
      : decision.kind;

/** The same rules said once more, by outcome instead of by order. */
function expected(facts: StartFacts): string {
  const { local, head, agreement, damage, otherOwner, takeover, common, otherIdentity, conditional } = facts;
  if (local === 'absent') return 'wait-for-log';
  if (head !== 'empty' && otherOwner && !takeover) return 'stop other-owner';
  if (head === 'unproven') return 'wait-for-lease';
  const ofItsOwn = (reason: string): string =>
    local === 'above-zero-baseless' ? 'wait-for-base log-start' : `begin ${reason} at none`;
  if (otherIdentity && head !== 'empty') return ofItsOwn('replaced');
  if (agreement === 'shorter' || agreement === 'differs' || agreement === 'gap') {
    if (common) return 'begin rolled-back at common';
    return ofItsOwn(local === 'from-zero' ? 'rolled-back' : 'gap');
  }
  if (damage !== 'none') return damage === 'based' ? 'begin damaged at base' : 'wait-for-base damage';
  const mayContinue = head === 'released' && !otherOwner && conditional;
  if (agreement === 'agrees') return mayContinue ? 'continue' : 'begin takeover at stored';
  if (head === 'empty') return ofItsOwn('first');
  if (common) return 'begin rolled-back at common';
  return mayContinue && local !== 'above-zero-baseless' ? 'continue' : ofItsOwn('takeover');
}

describe('decideStart', () => {
  test(`all ${every.length} combinations`, () => {
    expect(every).toHaveLength(4 * 5 * 5 * 3 * 32);
    for (const facts of every) expect({ facts, is: name(decideStart(facts)) }).toEqual({ facts, is: expected(facts) });
  });

  test('nothing is written in another owner’s or a living process’s place', () => {
    const foreign = every.filter(({ head, otherOwner, takeover }) => head !== 'empty' && otherOwner && !takeover);
    for (const facts of [...foreign, ...every.filter(({ head }) => head === 'unproven')]) {
      expect(['wait-for-log', 'wait-for-lease', 'stop']).toContain(decideStart(facts).kind);
    }
  });

  test('only the owner goes on, in exclusive mode, after a clean release, with a log that agrees or nothing stored', () => {
    for (const facts of every.filter((one) => decideStart(one).kind === 'continue')) {
      expect(facts).toMatchObject({ head: 'released', otherOwner: false, conditional: true, otherIdentity: false });
      expect(facts.damage).toBe('none');
      expect(['agrees', 'nothing-stored']).toContain(facts.agreement);
    }
  });

  test('what begins by itself above 0 has a snapshot to begin with', () => {
    for (const facts of every) {
      const decision = decideStart(facts);
      if (decision.kind !== 'begin') continue;
      if (decision.at === 'none') expect(facts.local).not.toBe('above-zero-baseless');
      if (decision.at === 'base') expect(facts.damage).toBe('based');
      if (decision.at === 'common') expect(facts.common).toBe(true);
      if (decision.at === 'stored') expect(facts.agreement).toBe('agrees');
    }
  });
});
