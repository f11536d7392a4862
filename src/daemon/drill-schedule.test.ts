/** Invariant: a place is due once in each period, at the same moment of it whenever it is asked; places are spread. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dueAfter } from './drill-schedule.ts';

test('due later than now, at most one period, and the same for every moment before', () => {
  const numbers = { now: fc.integer({ min: 0, max: 4e12 }), everyMs: fc.integer({ min: 1_000, max: 1e10 }) };
  fc.assert(
    fc.property(
      fc.record({ ...numbers, name: fc.string(), part: fc.double({ min: 0, max: 0.999, noNaN: true }) }),
      (it) => {
        const { now, everyMs, name, part } = it;
        const due = dueAfter(now, { name, everyMs });
        expect(due).toBeGreaterThan(now);
        expect(due - now).toBeLessThanOrEqual(everyMs);
        const between = now + Math.floor((due - now) * part);
        expect(dueAfter(between, { name, everyMs })).toBe(due);
        expect(dueAfter(due, { name, everyMs })).toBe(due + everyMs);
      },
    ),
  );
});

test('a hundred places are spread over the period', () => {
  const hours = new Set<number>();
  for (let n = 0; n < 100; n += 1)
    hours.add(Math.floor(dueAfter(0, { name: `/db/${n}`, everyMs: 86_400_000 }) / 3_600_000));
  expect(hours.size).toBeGreaterThan(18);
});
