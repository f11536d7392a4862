// Invariant: whatever all other replicators and stores hold, a replicator gets its own part at once, and a store that
// answers its own; the parts are never more than the memory.
import { expect, test } from 'vitest';
import { STEADY_BYTES_MAX } from '../replicate/log-uploader.ts';
import { type MemberMemory, MemoryShares } from './memory-shares.ts';

const MIB = 1024 * 1024;
const memoryBytes = 96 * MIB;
const sumOf = (members: readonly MemberMemory[]): number => {
  const stores = new Set(members.map(({ budget }) => budget));
  return [...stores, ...members.map(({ steadyBudget }) => steadyBudget)].reduce(
    (sum, { bytesMax }) => sum + bytesMax,
    0,
  );
};

test.each([1, 6, 12, 100, 400])(
  '%i replicators to a dead store leave those of another one all that is theirs',
  (count) => {
    const shares = new MemoryShares({ memoryBytes, stores: new Set(['dead', 'alive']) });
    const dead = Array.from({ length: count }, () => shares.join('dead'));
    const alive = shares.join('alive');
    for (const { budget, steadyBudget } of dead) {
      while (budget.tryTake(MIB) !== null);
      while (steadyBudget.tryTake(1024) !== null);
    }
    expect(alive.steadyBudget.tryTake(STEADY_BYTES_MAX)).not.toBeNull();
    expect(alive.budget.bytesMax).toBeGreaterThanOrEqual(memoryBytes / 4);
    expect(alive.budget.tryTake(alive.budget.bytesMax)).not.toBeNull();
    expect(sumOf([...dead, alive])).toBeLessThanOrEqual(memoryBytes);
  },
);

test('few replicators have what a busy log wants, many share a half', () => {
  const shares = new MemoryShares({ memoryBytes, stores: new Set(['one']) });
  const members = Array.from({ length: 24 }, () => shares.join('one'));
  expect(members.map(({ steadyBudget }) => steadyBudget.bytesMax)).toEqual(members.map(() => STEADY_BYTES_MAX));
  const more = Array.from({ length: 72 }, () => shares.join('one'));
  expect(members[0]?.steadyBudget.bytesMax).toBe(memoryBytes / 2 / 96);
  expect(members[0]?.budget.bytesMax).toBe(memoryBytes / 2);
  for (const member of more) member[Symbol.dispose]();
  expect(members[0]?.steadyBudget.bytesMax).toBe(STEADY_BYTES_MAX);
});

test('a newcomer does not wait for what others hold too much', async () => {
  const shares = new MemoryShares({ memoryBytes: 32 * MIB, stores: new Set(['dead']) });
  const first = Array.from({ length: 8 }, () => shares.join('dead'));
  for (const { steadyBudget } of first) await steadyBudget.take(STEADY_BYTES_MAX);
  const late = Array.from({ length: 8 }, () => shares.join('dead'));
  for (const { steadyBudget } of late) expect((await steadyBudget.take(STEADY_BYTES_MAX)).bytes).toBe(MIB);
});
