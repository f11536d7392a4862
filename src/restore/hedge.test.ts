/** Invariant: one request that never answers does not hold up a restore; only few are asked twice, and none needlessly. */
import { expect, test } from 'vitest';
import { ByteBudget } from '../core/byte-budget.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import type { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { fetchParts, type Part } from './fetch-parts.ts';
import { hedge, HedgePolicy } from './hedge.ts';

const BYTES = 1000;
const never = new AbortController().signal;
const nothing: Disposable = { [Symbol.dispose]: () => undefined };

/** Knows what is slow. */
function experienced(requests = 20): HedgePolicy {
  const policy = new HedgePolicy();
  for (let count = 0; count < requests; count += 1) policy.note(BYTES, 1);
  return policy;
}

const until = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });

test('what hangs is asked for again, and let go', async () => {
  const stopped: AbortSignal[] = [];
  let returned = 0;
  const spare = (): Disposable => ({ [Symbol.dispose]: () => void (returned += 1) });
  const ask = (signal: AbortSignal): Promise<string> => {
    stopped.push(signal);
    return stopped.length === 1 ? until(signal) : Promise.resolve('second');
  };
  expect(await hedge(ask, { policy: experienced(), bytes: BYTES, spare, signal: never })).toBe('second');
  expect(stopped.map(({ aborted }) => aborted)).toEqual([true, true]);
  expect(returned).toBe(1);
});

test('a second request that fails does not count; a failure of the first one does', async () => {
  let slow: (value: string) => void = () => undefined;
  let asked = 0;
  const ask = async (): Promise<string> => {
    asked += 1;
    if (asked === 1) return await new Promise((resolve) => (slow = resolve));
    slow('first');
    throw new Error('second');
  };
  expect(await hedge(ask, { policy: experienced(), bytes: BYTES, spare: () => nothing, signal: never })).toBe('first');
  expect(asked).toBe(2);
  const gone = hedge(() => Promise.reject(new ObjectNotFoundError('gone')), {
    policy: experienced(),
    bytes: BYTES,
    spare: () => nothing,
    signal: never,
  });
  await expect(gone).rejects.toThrow(ObjectNotFoundError);
});

test('a few per cent at the most are asked twice, and none before there is experience', () => {
  expect(new HedgePolicy().delayMs(BYTES)).toBe(null);
  const policy = experienced(200);
  expect(policy.delayMs(BYTES)).not.toBe(null);
  expect(policy.delayMs(10 * 1024 * 1024)).toBe(null);
  let hedged = 0;
  while (policy.tryHedge()) hedged += 1;
  expect(hedged).toBe(11);
});

test('an abort ends both', async () => {
  const abort = new AbortController();
  let asked = 0;
  const ask = (signal: AbortSignal): Promise<string> => {
    asked += 1;
    if (asked === 2) abort.abort(new Error('enough'));
    return until(signal);
  };
  const options = { policy: experienced(), bytes: BYTES, spare: () => nothing, signal: abort.signal };
  await expect(hedge(ask, options)).rejects.toThrow('enough');
});

test('parts: one socket that hangs for ever costs nothing but its part’s second request', async () => {
  await using scene = await RestoreScene.open();
  const client: MemoryReplicaClient = scene.client;
  const keys = Array.from({ length: 60 }, (_, index) => `log/${index}`);
  for (const key of keys) client.store.set(key, Buffer.alloc(BYTES, key));
  const asked: string[] = [];
  const hanging = scene.spying(async (key, options) => {
    asked.push(key);
    if (key === 'log/40' && asked.filter((one) => one === key).length === 1)
      return await until(options?.signal ?? never);
    return await client.get(key, options);
  });
  const budget = new ByteBudget(BYTES * 10);
  const parts = keys.map((key): Part => ({ key, objectBytes: BYTES, start: 0, endExclusive: BYTES }));
  const order: string[] = [];
  for await (using part of fetchParts(parts, { client: hanging, budget, parallelism: 4, signal: never })) {
    expect(Buffer.from(part.bytes).equals(Buffer.alloc(BYTES, part.part.key))).toBe(true);
    order.push(part.part.key);
  }
  expect(order).toEqual(keys);
  expect(asked.filter((key) => key === 'log/40')).toHaveLength(2);
  expect(budget.held).toBe(0);
});
