// Invariant: what is granted is never more than the budget, whoever waits is served in order of arrival, and a budget that
// changes its size neither forgets what is held nor leaves a waiter behind.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BudgetShare, ByteBudget } from './byte-budget.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('whoever waits is served in order, and a wish above all is granted as all', async () => {
  const budget = new ByteBudget(10);
  const first = await budget.take(7);
  const order: number[] = [];
  const large = budget.take(100).then((share) => {
    order.push(share.bytes);
    return share;
  });
  const small = budget.take(1).then((share) => {
    order.push(share.bytes);
    return share;
  });
  await settle();
  expect([order, budget.tryTake(1)]).toEqual([[], null]);
  first[Symbol.dispose]();
  (await large)[Symbol.dispose]();
  expect((await small).bytes).toBe(1);
  expect(order).toEqual([10, 1]);
});

test('who gives up waiting stands in nobody’s way', async () => {
  const budget = new ByteBudget(10);
  using _held = await budget.take(8);
  const stop = new AbortController();
  const large = budget.take(5, { signal: stop.signal });
  const small = budget.take(2);
  stop.abort(new Error('enough'));
  await expect(large).rejects.toThrow('enough');
  expect((await small).bytes).toBe(2);
});

test('a budget that grows serves who waits; one that shrinks grants nothing until what is held fits', async () => {
  const budget = new ByteBudget(10);
  const held = await budget.take(10);
  let granted: BudgetShare | null = null;
  const waiting = budget.take(8).then((share) => (granted = share));
  budget.resize(18);
  await settle();
  expect(granted).not.toBeNull();
  budget.resize(4);
  expect(budget.tryTake(1)).toBeNull();
  (await waiting)[Symbol.dispose]();
  held[Symbol.dispose]();
  expect(budget.held).toBe(0);
  expect((await budget.take(100)).bytes).toBe(4);
});

test('who waits for more than what a budget shrinks to gets all of it', async () => {
  const budget = new ByteBudget(10);
  const held = await budget.take(10);
  const waiting = budget.take(9);
  budget.resize(3);
  held[Symbol.dispose]();
  const share = await waiting;
  expect([share.bytes, budget.held]).toEqual([3, 3]);
  share[Symbol.dispose]();
  expect(budget.held).toBe(0);
});

test('property: whatever is taken, given back and resized, the sum is right and never above what it may be', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 0, max: 40 }) }),
    fc.record({ kind: fc.constant('give' as const), nth: fc.nat(20), rest: fc.nat(10) }),
    fc.record({ kind: fc.constant('resize' as const), bytes: fc.integer({ min: 1, max: 40 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const budget = new ByteBudget(20);
      const shares: BudgetShare[] = [];
      let waiting = 0;
      /** What was held before a budget shrank may stay. */
      let ceiling = 20;
      for (const each of steps) {
        if (each.kind === 'take') {
          waiting += 1;
          void budget.take(each.bytes).then((share) => {
            waiting -= 1;
            shares.push(share);
          });
        } else if (each.kind === 'give') shares[each.nth % Math.max(1, shares.length)]?.shrinkTo(each.rest);
        else budget.resize(each.bytes);
        await settle();
        ceiling = Math.max(budget.bytesMax, Math.min(ceiling, budget.held));
        expect(budget.held).toBe(shares.reduce((sum, { bytes }) => sum + bytes, 0));
        expect(budget.held).toBeLessThanOrEqual(ceiling);
      }
      while (waiting > 0) {
        for (const share of shares) share[Symbol.dispose]();
        await settle();
      }
      for (const share of shares) share[Symbol.dispose]();
      expect(budget.held).toBe(0);
    }),
    { numRuns: 200 },
  );
});
