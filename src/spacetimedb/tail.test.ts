/** Invariant: every finding has one class, with and without a successor; what is whole is complete in both. */
import { describe, expect, test } from 'vitest';
import { byteOffset, txOffset } from '../core/types.ts';
import type { ScanProblem } from './commit-facts.ts';
import { classifyTail, type ScannedTail, TAIL_TABLE, type TailClass } from './tail.ts';

const problem = (kind: ScanProblem['kind']): ScannedTail => ({
  problem: { kind, at: byteOffset(10), tx: txOffset(0) },
  pendingBytes: 0,
});

const CASES: readonly [finding: keyof typeof TAIL_TABLE, scan: ScannedTail, last: TailClass, followed: TailClass][] = [
  ['nothing', { problem: null, pendingBytes: 0 }, 'complete', 'complete'],
  ['partial', { problem: null, pendingBytes: 1 }, 'in-progress', 'torn'],
  ['zero', problem('zero'), 'zero', 'zero'],
  ['bad-crc', problem('bad-crc'), 'bad-crc', 'bad-crc'],
  ['bad-length', problem('bad-length'), 'bad-crc', 'bad-crc'],
  ['out-of-order', problem('out-of-order'), 'out-of-order', 'out-of-order'],
  ['epoch-backwards', problem('epoch-backwards'), 'out-of-order', 'out-of-order'],
  ['unsupported-version', 'unsupported-version', 'unsupported-version', 'unsupported-version'],
];

describe('the tail of a segment', () => {
  test.each(CASES)('%s', (_, scan, last, followed) => {
    expect(classifyTail(scan, { hasSuccessor: false })).toBe(last);
    expect(classifyTail(scan, { hasSuccessor: true })).toBe(followed);
  });

  test('has a case here for each row of the table', () => {
    expect(CASES.map(([finding]) => finding).sort()).toEqual(Object.keys(TAIL_TABLE).sort());
  });
});
