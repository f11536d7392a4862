/** Which snapshots the line has: the newest is looked for in this generation, then in its parents, until there is one. */
import type { TxOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import { type GenerationName, parseKey, snapshotsPrefix } from '../layout/keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { ListedSnapshots } from './take-head.ts';
import { readGeneration } from './stored-state.ts';

export interface StoredSnapshot {
  readonly generation: GenerationName;
  readonly tx: TxOffset;
}

/**
 * Null when no snapshot belongs to the line. A parent's snapshots beyond the parent point are another history's.
 *
 * @param listed what the start has listed already
 */
export async function findNewestSnapshot(
  client: ReplicaClient,
  document: GenerationDocument,
  { listed, signal }: { listed: ListedSnapshots; signal?: AbortSignal | undefined },
): Promise<StoredSnapshot | null> {
  let generation: GenerationDocument | null = document;
  let until: TxOffset | null = null;
  let isNew = document.generation !== listed.generation;
  while (generation !== null) {
    const { generation: name, parent }: GenerationDocument = generation;
    const known: readonly TxOffset[] =
      name === listed.generation ? listed.snapshots : isNew ? [] : await listSnapshotsOf(client, name, signal);
    isNew = false;
    const tx = known.findLast((candidate) => until === null || candidate <= until);
    if (tx !== undefined) return { generation: name, tx };
    if (parent === null) return null;
    until = until === null || parent.position.tx < until ? parent.position.tx : until;
    generation = await readGeneration(client, parent.generation, { signal });
  }
  return null;
}

async function listSnapshotsOf(
  client: ReplicaClient,
  generation: GenerationName,
  signal: AbortSignal | undefined,
): Promise<readonly TxOffset[]> {
  const found: TxOffset[] = [];
  for await (const { key } of client.list(snapshotsPrefix(generation), { signal })) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'manifest') found.push(parsed.tx);
  }
  return found;
}
