// Invariants: damage is passed over for good; what could not be read is looked at again, ever more seldom, and never no
// more; one that is stored ends the waiting for those before it, and for no later one.
import { expect, test } from 'vitest';
import { txOffset } from '../core/types.ts';
import { PASSES_FIRST, PASSES_MAX, UnusableSnapshots } from './unusable-snapshots.ts';

function passesUntilLook(unusable: UnusableSnapshots, name: string): number {
  for (let passes = 0; passes <= 2 * PASSES_MAX; passes += 1) {
    if (!unusable.has(name)) return passes;
    unusable.beginPass();
  }
  return Number.POSITIVE_INFINITY;
}

test('ever more seldom, up to a limit', () => {
  const unusable = new UnusableSnapshots();
  const waits: number[] = [];
  for (let failures = 0; failures < 12; failures += 1) {
    unusable.add('a', { tx: txOffset(1n), isDamaged: false });
    expect(unusable.isWaiting).toBe(true);
    waits.push(passesUntilLook(unusable, 'a'));
  }
  expect(waits.slice(0, 3)).toEqual([PASSES_FIRST, PASSES_FIRST * 2, PASSES_FIRST * 4]);
  expect(waits.at(-1)).toBe(PASSES_MAX);
});

test('damage is for good, and nothing is waited for', () => {
  const unusable = new UnusableSnapshots();
  unusable.add('a', { tx: txOffset(1n), isDamaged: true });
  expect(passesUntilLook(unusable, 'a')).toBe(Number.POSITIVE_INFINITY);
  unusable.stored(txOffset(5n));
  expect(unusable.has('a')).toBe(true);
  expect(unusable.isWaiting).toBe(false);
});

test('a stored one ends the waiting for those before it', () => {
  const unusable = new UnusableSnapshots();
  for (const tx of [1n, 7n]) unusable.add(String(tx), { tx: txOffset(tx), isDamaged: false });
  unusable.stored(txOffset(5n));
  expect([unusable.has('1'), unusable.has('7'), unusable.isWaiting]).toEqual([false, true, true]);
  unusable.stored(txOffset(7n));
  expect(unusable.isWaiting).toBe(false);
});
