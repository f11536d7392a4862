/** Invariant: looking ahead never ends a restore for an object that is gone or damaged: another plan may do without it. */
import { expect, test } from 'vitest';
import { ByteBudget } from '../core/byte-budget.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { makeGenerationName } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { peekLastVersion } from './peek-last-version.ts';

test.each([
  ['gone', null],
  ['damaged', Buffer.alloc(100)],
])('an object that is %s is found when it is restored', async (_, stored) => {
  const client = new MemoryReplicaClient();
  const key = 'generations/00000001-00000001/log/0/object';
  if (stored) client.store.set(key, stored);
  const zero = { tx: txOffset(0n), crc: crc32cValue(0), time: micros(0n) };
  const object = {
    generation: makeGenerationName(1, '00000001'),
    key,
    size: 100,
    level: 0,
    time: zero.time,
    prev: zero.crc,
    crc: zero.crc,
    segment: zero.tx,
    first: zero.tx,
    last: zero.tx,
  };
  const plan = { segments: [{ segment: zero.tx, pieces: [{ object, cut: null }] }], target: zero, workBytes: 2 ** 30 };
  const fetch = { client, budget: new ByteBudget(1 << 20), parallelism: 1, signal: new AbortController().signal };
  await peekLastVersion(plan, fetch);
  expect(fetch.budget.held).toBe(0);
});
