/** A replica id that a server's backup does not hold: the ones that it holds are named. */
import { NoBackupError } from '../core/errors.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { listStoredReplicas } from './stored-parts.ts';

export interface AskedReplica {
  /** Of the server's root. */
  readonly client: ReplicaClient;
  readonly replicaId: bigint;
  readonly signal: AbortSignal;
}

/** @throws NoBackupError that names the databases of the server, where `work` found none of that id; what `work` throws */
export async function namingReplicas<T>({ client, replicaId, signal }: AskedReplica, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof NoBackupError)) throw error;
    const ids = (await listStoredReplicas(client, { signal })).filter((id) => id !== replicaId);
    if (ids.length === 0) throw error;
    throw new NoBackupError(`the server's backup in ${client.url} holds no database ${replicaId}`, {
      cause: error,
      facts: { url: client.url, replicaId },
      hint: `It holds ${ids.sort((a, b) => (a < b ? -1 : 1)).join(', ')}: give one of them as -replica-id.`,
    });
  }
}
