// Invariant: what a packer holds of the budget is given back however packing ends.
import { expect, test } from 'vitest';
import { randomBytes } from 'node:crypto';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import { SnapshotPacker } from '../../src/replicate/snapshot-packer.ts';

test('after a put that failed nothing is held', async () => {
  const budget = new ByteBudget(8 * 1024 * 1024);
  const client = new MemoryReplicaClient();
  client.put = () => Promise.reject(new Error('no'));
  const packer = new SnapshotPacker({
    client,
    budget,
    compressionLevel: 1,
    ensureLease: async () => undefined,
    onPack: () => undefined,
    signal: new AbortController().signal,
  });
  const adding = async (): Promise<void> => {
    try {
      for (let n = 0; n < 40; n += 1) await packer.add(n.toString(16).padStart(64, '0'), randomBytes(512 * 1024));
      await packer.end();
    } finally {
      await packer.abandon();
    }
  };
  await expect(adding()).rejects.toThrow('no');
  expect(budget.held).toBe(0);
});

test('two packs fit', async () => {
  const budget = new ByteBudget(96 * 1024 * 1024);
  const client = new MemoryReplicaClient();
  client.put = () => Promise.reject(new Error('no'));
  const packer = new SnapshotPacker({
    client,
    budget,
    compressionLevel: 1,
    ensureLease: async () => undefined,
    onPack: () => undefined,
    signal: new AbortController().signal,
  });
  const adding = async (): Promise<void> => {
    try {
      for (let n = 0; n < 120; n += 1) await packer.add(n.toString(16).padStart(64, '0'), randomBytes(1024 * 1024));
      await packer.end();
    } finally {
      await packer.abandon();
    }
  };
  await expect(adding()).rejects.toThrow('no');
  expect(budget.held).toBe(0);
});
