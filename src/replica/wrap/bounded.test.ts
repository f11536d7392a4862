/** Invariant: never more calls at the store than allowed, and no place is ever lost: not by an error, an abort, or a body that is left. */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import { readBody } from '../replica-client.ts';
import { boundedClient } from './bounded.ts';
import { FaultyReplicaClient } from './faulty.ts';

describe('the wrapped client keeps the contract', () => {
  replicaClientContract({ test, open: async () => boundedClient(new MemoryReplicaClient(), { callsMax: 2 }) });
});

test('at most two at once, in order of arrival', async () => {
  const done: string[] = [];
  let inside = 0;
  let most = 0;
  const watched = new MemoryReplicaClient();
  watched.put = async (key) => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
    done.push(key);
    return { version: '' };
  };
  const client = boundedClient(watched, { callsMax: 2 });
  const keys = Array.from({ length: 20 }, (_, i) => `a/${i}`);
  await Promise.all(keys.map((key) => client.put(key, Buffer.alloc(1))));
  expect(most).toBe(2);
  expect(done).toEqual(keys);
});

test('a place comes back after an error, an abort, a body read, left or never begun', async () => {
  const clock = new VirtualClock();
  const faulty = new FaultyReplicaClient(new MemoryReplicaClient(), { clock });
  const client = boundedClient(faulty, { callsMax: 1 });
  await client.put('a', Buffer.alloc(200_000));
  faulty.inject({ kind: 'fail-before', operation: 'get' });
  await expect(client.get('a')).rejects.toThrow();
  faulty.inject({ kind: 'break', operation: 'get', after: 100_000 });
  await expect(readBody(await client.get('a'), 200_000)).rejects.toThrow();
  await readBody(await client.get('a'), 200_000);
  for await (const _ of (await client.get('a')).body) break;
  await (await client.get('a')).body[Symbol.asyncIterator]().return?.();
  const held = await client.get('a');
  const controller = new AbortController();
  const waiting = client.head('a', { signal: controller.signal });
  controller.abort(new Error('stop'));
  await expect(waiting).rejects.toThrow('stop');
  await held.body[Symbol.asyncIterator]().return?.();
  expect((await client.head('a')).size).toBe(200_000);
});

test('objects can be read while a listing is, even one at a time', async () => {
  const client = boundedClient(new MemoryReplicaClient(), { callsMax: 1 });
  for (const key of ['a', 'b', 'c']) await client.put(key, Buffer.from(key));
  const read: string[] = [];
  for await (const { key } of client.list(''))
    read.push(Buffer.from(await readBody(await client.get(key), 10)).toString());
  expect(read).toEqual(['a', 'b', 'c']);
});
