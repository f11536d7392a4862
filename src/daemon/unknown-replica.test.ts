// Invariant: who asks for a database that a server's backup does not hold is told which ones it holds; nothing else changes.
import { expect, test } from 'vitest';
import { CorruptionError, NoBackupError } from '../core/errors.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { namingReplicas } from './unknown-replica.ts';

const { signal } = new AbortController();
const none = (): Promise<never> => Promise.reject(new NoBackupError('nothing there', { hint: 'Check the URL.' }));

async function server(...ids: readonly bigint[]): Promise<MemoryReplicaClient> {
  const client = new MemoryReplicaClient();
  for (const id of ids) await client.put(`replicas/${id}/format.json`, Buffer.from('{}'));
  return client;
}

test('the databases that are there are named, in the order of their numbers', async () => {
  const client = await server(10n, 9n, 3n);
  await expect(namingReplicas({ client, replicaId: 7n, signal }, none())).rejects.toMatchObject({
    code: 'NO_BACKUP',
    message: expect.stringContaining('holds no database 7') as string,
    hint: 'It holds 3, 9, 10: give one of them as -replica-id.',
  });
});

test('where there is no other one, and for any other failure, it is the first failure', async () => {
  const client = await server(7n);
  await expect(namingReplicas({ client, replicaId: 7n, signal }, none())).rejects.toMatchObject({
    message: 'nothing there',
  });
  const damaged = Promise.reject(new CorruptionError('damaged'));
  await expect(namingReplicas({ client: await server(1n), replicaId: 7n, signal }, damaged)).rejects.toThrow('damaged');
  expect(await namingReplicas({ client, replicaId: 7n, signal }, Promise.resolve(5))).toBe(5);
});
