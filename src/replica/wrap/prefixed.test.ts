/** Invariant: a part of a store is a store: it keeps the contract, sees nothing beside itself, and ends alone. */
import { describe, expect, test } from 'vitest';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import { readBody, type ReplicaClient } from '../replica-client.ts';
import { prefixedClient } from './prefixed.ts';

describe('a part of a store keeps the contract', () => {
  replicaClientContract({
    test,
    open: async () => {
      const client = new MemoryReplicaClient();
      for (const key of ['a', 'part', 'partz/a', 'z', 'part/a0', 'part/b0']) await client.put(key, Buffer.from(key));
      return prefixedClient(client, 'part/a/');
    },
  });
});

describe('nested parts keep the contract', () => {
  replicaClientContract({
    test,
    open: async () => prefixedClient(prefixedClient(new MemoryReplicaClient(), 'a/'), 'b/c/'),
  });
});

const keysOf = async (client: ReplicaClient, prefix = '', startAfter?: string): Promise<string[]> => {
  const keys: string[] = [];
  const options = startAfter === undefined ? {} : { startAfter };
  for await (const { key } of client.list(prefix, options)) keys.push(key);
  return keys;
};

test('keys lie below the prefix in the store, and are seen without it', async () => {
  const inner = new MemoryReplicaClient();
  const one = prefixedClient(inner, 'replicas/1/');
  const other = prefixedClient(inner, 'replicas/10/');
  await one.put('head.json', Buffer.from('one'), { ifAbsent: true });
  await other.put('head.json', Buffer.from('other'), { ifAbsent: true });
  await one.put('log/2', Buffer.from('x'));
  expect(await keysOf(inner)).toEqual(['replicas/1/head.json', 'replicas/1/log/2', 'replicas/10/head.json']);
  expect(await keysOf(one)).toEqual(['head.json', 'log/2']);
  expect(await keysOf(one, 'l')).toEqual(['log/2']);
  expect(await keysOf(one, '', 'head.json')).toEqual(['log/2']);
  expect(Buffer.from(await readBody(await one.get('head.json'), 9)).toString()).toBe('one');
  expect(await one.delete(['head.json', 'absent'])).toEqual([]);
  expect(await keysOf(other)).toEqual(['head.json']);
});

test('what could not be deleted is named as it was asked for', async () => {
  const inner = new MemoryReplicaClient();
  inner.delete = async (keys) => keys.map((key) => ({ key, error: new Error('kept') }));
  expect((await prefixedClient(inner, 'a/').delete(['b'])).map(({ key }) => key)).toEqual(['b']);
});

test('closing a part leaves the store open, and the part closed', async () => {
  const inner = new MemoryReplicaClient();
  const one = prefixedClient(inner, 'a/');
  const other = prefixedClient(inner, 'b/');
  await one.close();
  await one.close();
  await expect(one.put('x', Buffer.from('x'))).rejects.toThrow('closed');
  await expect(keysOf(one)).rejects.toThrow('closed');
  await other.put('x', Buffer.from('x'));
  expect(await keysOf(inner)).toEqual(['b/x']);
});

test.each([
  ['s3://bucket/prefix', 's3://bucket/prefix/server'],
  ['s3://bucket/prefix?endpoint=http://127.0.0.1:9000', 's3://bucket/prefix/server?endpoint=http://127.0.0.1:9000'],
  ['file:///backup/', 'file:///backup/server'],
])('%s shows where the part is: %s', (url, expected) => {
  const inner = new MemoryReplicaClient();
  Object.defineProperty(inner, 'url', { value: url });
  expect(prefixedClient(inner, 'server/').url).toBe(expected);
});

test('a prefix that would join with keys is a bug', () => {
  for (const prefix of ['a', '/', '/a/', 'a//b/']) {
    expect(() => prefixedClient(new MemoryReplicaClient(), prefix)).toThrow('not a prefix');
  }
});
