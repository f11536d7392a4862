/** Invariant: a fault strikes exactly the calls that it names, so that a test knows what it has tested. */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import { readBody, UnavailableError } from '../replica-client.ts';
import { FaultyReplicaClient } from './faulty.ts';

describe('without faults it keeps the contract', () => {
  replicaClientContract({
    test,
    open: async () => new FaultyReplicaClient(new MemoryReplicaClient(), { clock: new VirtualClock() }),
  });
});

const setUp = (): { client: FaultyReplicaClient; memory: MemoryReplicaClient; clock: VirtualClock } => {
  const clock = new VirtualClock();
  const memory = new MemoryReplicaClient();
  return { client: new FaultyReplicaClient(memory, { clock }), memory, clock };
};

test('fail-before does nothing, fail-after has done it', async () => {
  const { client, memory } = setUp();
  client.inject({ kind: 'fail-before', operation: 'put', key: 'a' });
  client.inject({ kind: 'fail-after', operation: 'put', key: 'b' });
  await expect(client.put('a', Buffer.from('x'))).rejects.toThrow(UnavailableError);
  await expect(client.put('b', Buffer.from('x'))).rejects.toThrow(UnavailableError);
  expect(memory.store.keys()).toEqual(['b']);
  expect(client.struck).toBe(2);
});

test('key, pattern, skip and times', async () => {
  const { client } = setUp();
  client.inject({ kind: 'fail-before', operation: 'put', key: /\.pack$/, skip: 1, times: 2 });
  const results: boolean[] = [];
  for (const key of ['a.pack', 'a.zst', 'b.pack', 'c.pack', 'd.pack']) {
    results.push(
      await client.put(key, Buffer.from('x')).then(
        () => true,
        () => false,
      ),
    );
  }
  expect(results).toEqual([true, true, false, false, true]);
});

test('chance comes from the given source', async () => {
  const draws = [0.9, 0.1, 0.5];
  const clock = new VirtualClock();
  const client = new FaultyReplicaClient(new MemoryReplicaClient(), {
    clock,
    random: () => draws.shift() ?? 1,
    faults: [{ kind: 'fail-before', chance: 0.2, times: 9 }],
  });
  const results: boolean[] = [];
  for (const key of ['a', 'b', 'c'])
    results.push(
      await client.put(key, Buffer.from('x')).then(
        () => true,
        () => false,
      ),
    );
  expect(results).toEqual([true, false, true]);
});

test('bodies: short without a word, broken with one, one bit flipped', async () => {
  const { client } = setUp();
  const content = Buffer.alloc(100_000, 7);
  await client.put('a', content);
  client.inject({ kind: 'short', operation: 'get', after: 70_000 });
  expect((await readBody(await client.get('a'), 100_000)).byteLength).toBe(70_000);
  client.inject({ kind: 'break', operation: 'get', after: 70_000 });
  await expect(readBody(await client.get('a'), 100_000)).rejects.toThrow(UnavailableError);
  client.inject({ kind: 'corrupt', operation: 'get', at: 80_000 });
  const corrupt = await readBody(await client.get('a'), 100_000);
  expect(corrupt[80_000]).toBe(6);
  expect(corrupt.filter((byte) => byte !== 7)).toHaveLength(1);
  expect(Buffer.compare(await readBody(await client.get('a'), 100_000), content)).toBe(0);
});

test('a delay takes time', async () => {
  const { client, clock } = setUp();
  client.inject({ kind: 'delay', delayMs: 1234 });
  await client.put('a', Buffer.from('x'));
  expect(clock.monotonic()).toBe(1234);
});
