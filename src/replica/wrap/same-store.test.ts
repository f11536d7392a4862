/**
 * Invariant: into a store that was gone nothing is written before it is proven to be the same; one that came back as
 * another one is waited out in a service, and written to again when the right one is there.
 */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import { StoreNotFoundError } from '../replica-client.ts';
import { retryingClient } from './retrying.ts';
import { sameStoreClient } from './same-store.ts';

const X = Buffer.from('x');

describe('the wrapped client keeps the contract', () => {
  replicaClientContract({ test, open: async () => sameStoreClient(new MemoryReplicaClient()) });
});

test('a store that is gone, and back as it was', async () => {
  const memory = new MemoryReplicaClient();
  const client = sameStoreClient(memory);
  await client.put('a', X);
  memory.store.exists = false;
  await expect(client.put('b', X)).rejects.toThrow(StoreNotFoundError);
  memory.store.exists = true;
  await client.put('b', X);
  expect(memory.store.keys()).toEqual(['a', 'b']);
});

test('a store that is back as another one', async () => {
  const memory = new MemoryReplicaClient();
  const client = sameStoreClient(memory);
  await client.put('a', X);
  memory.store.exists = false;
  await expect(client.head('a')).rejects.toThrow(StoreNotFoundError);
  memory.store.exists = true;
  memory.store.objects.clear();
  await expect(client.put('b', X)).rejects.toThrow('it is another store');
  expect(memory.store.keys()).toEqual([]);
  memory.store.set('a', X);
  await client.put('b', X);
  expect(memory.store.keys()).toEqual(['a', 'b']);
});

test('whoever has deleted what it last saw needs no proof of that', async () => {
  const memory = new MemoryReplicaClient();
  const client = sameStoreClient(memory);
  await client.put('a', X);
  await client.delete(['a']);
  memory.store.exists = false;
  await expect(client.put('b', X)).rejects.toThrow(StoreNotFoundError);
  memory.store.exists = true;
  await client.put('b', X);
});

test('a service waits for the right one; a command does not', async () => {
  const memory = new MemoryReplicaClient();
  const clock = new VirtualClock();
  const waits: number[] = [];
  const sleep = clock.sleep.bind(clock);
  clock.sleep = async (ms, options) => {
    waits.push(ms);
    if (waits.length === 3) memory.store.exists = true;
    if (waits.length === 6) memory.store.set('a', X);
    await sleep(ms, options);
  };
  const service = retryingClient(memory, { clock });
  await service.put('a', X);
  memory.store.exists = false;
  memory.store.objects.clear();
  await service.put('b', X);
  expect(waits.length).toBe(6);
  memory.store.exists = false;
  await expect(retryingClient(memory, { clock, giveUpAfterMs: 1000 }).put('c', X)).rejects.toThrow(StoreNotFoundError);
  // One that was never there is a mistake in the configuration.
  await expect(retryingClient(memory, { clock }).put('c', X)).rejects.toThrow(StoreNotFoundError);
});
