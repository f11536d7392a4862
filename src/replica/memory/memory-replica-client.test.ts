/** Invariant: the client that simulations trust keeps the same contract as the real ones. */
import { describe, expect, test } from 'vitest';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { PreconditionFailedError } from '../replica-client.ts';
import { MemoryReplicaClient } from './memory-replica-client.ts';
import { MemoryStore } from './memory-store.ts';

for (const conditional of ['full', 'create-only', 'none'] as const) {
  describe(`memory store, conditional ${conditional}`, () => {
    replicaClientContract({
      test,
      open: async () => new MemoryReplicaClient({ conditional }),
      openMissing: async () => {
        const store = new MemoryStore();
        store.exists = false;
        return new MemoryReplicaClient({ store, conditional });
      },
    });
  });
}

describe('memory store', () => {
  test('two clients see one store', async () => {
    const store = new MemoryStore();
    const a = new MemoryReplicaClient({ store });
    const b = new MemoryReplicaClient({ store });
    const { version } = await a.put('head.json', Buffer.from('a'));
    await b.put('head.json', Buffer.from('b'), { ifMatch: version });
    await expect(a.put('head.json', Buffer.from('c'), { ifMatch: version })).rejects.toThrow(PreconditionFailedError);
  });

  test('counts calls, and pages of listings', async () => {
    const client = new MemoryReplicaClient();
    for (let i = 0; i < 1001; i += 1) await client.put(`a/${i}`, Buffer.from('x'));
    for await (const _ of client.list('')) continue;
    expect(client.store.requests).toEqual({ put: 1001, get: 0, head: 0, list: 2, delete: 0 });
    client.store.resetCounters();
    expect(client.store.requests.put).toBe(0);
  });
});
