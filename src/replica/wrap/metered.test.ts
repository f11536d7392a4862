/** Invariant: counting changes nothing, and every call, byte and failure is counted once. */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import { readBody } from '../replica-client.ts';
import { FaultyReplicaClient } from './faulty.ts';
import { meteredClient } from './metered.ts';

describe('the wrapped client keeps the contract', () => {
  replicaClientContract({
    test,
    open: async () => meteredClient(new MemoryReplicaClient(), { clock: new VirtualClock() }).client,
  });
});

test('calls, bytes, seconds and failures', async () => {
  const clock = new VirtualClock();
  const faulty = new FaultyReplicaClient(new MemoryReplicaClient(), { clock });
  const { client, counters } = meteredClient(faulty, { clock });
  faulty.inject({ kind: 'delay', operation: 'put', delayMs: 250 });
  await client.put('a', Buffer.alloc(100));
  await client.put('b', [Buffer.alloc(10), Buffer.alloc(5)]);
  await client.put('c', {
    open: async function* () {
      yield Buffer.alloc(7);
    },
  });
  await readBody(await client.get('a', { range: { start: 10, endExclusive: 40 } }), 100);
  await expect(client.head('absent')).rejects.toThrow();
  faulty.inject({ kind: 'fail-before', operation: 'head' });
  await expect(client.head('a')).rejects.toThrow();
  await client.delete(['a', 'b']);
  const { operations, destination } = counters();
  expect(destination).toBe('memory:');
  expect(operations.put).toEqual({ requests: 3, errors: 0, bytesSent: 122, bytesReceived: 0, seconds: 0.25 });
  expect(operations.get).toMatchObject({ requests: 1, errors: 0, bytesReceived: 30 });
  expect(operations.head).toMatchObject({ requests: 2, errors: 1 });
  expect(operations.delete).toMatchObject({ requests: 1, errors: 0 });
});

test.each([
  [0, 1],
  [1, 1],
  [1000, 1],
  [1001, 2],
  [2000, 2],
])('a listing of %i keys is %i requests, as at the store', async (keys, requests) => {
  const memory = new MemoryReplicaClient();
  const { client, counters } = meteredClient(memory, { clock: new VirtualClock() });
  for (let i = 0; i < keys; i += 1) memory.store.set(`a/${i}`, Buffer.alloc(0));
  for await (const _ of client.list('')) continue;
  expect(counters().operations.list.requests).toBe(requests);
  expect(memory.store.requests.list).toBe(requests);
});

test('a store that does not answer is told until it answers anything, be it a refusal', async () => {
  const clock = new VirtualClock();
  const faulty = new FaultyReplicaClient(new MemoryReplicaClient(), { clock });
  const { client, counters } = meteredClient(faulty, { clock });
  expect(counters().failing).toBeNull();
  const fail = async (): Promise<void> => {
    faulty.inject({ kind: 'fail-before', operation: 'head' });
    await expect(client.head('a')).rejects.toThrow();
    expect(counters().failing).toMatchObject({ code: 'STORE_UNAVAILABLE', at: clock.now() });
  };
  await fail();
  await client.put('a', Buffer.alloc(1));
  expect(counters().failing).toBeNull();
  await fail();
  await expect(client.head('absent')).rejects.toThrow();
  expect(counters().failing).toBeNull();
  await fail();
  await expect(client.head('a', { signal: AbortSignal.abort() })).rejects.toThrow();
  expect(counters().failing).not.toBeNull();
});
