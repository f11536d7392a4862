/** How much is stored at a destination: of one database, or of a server and each of its databases. */
import { mapAhead } from '../core/map-ahead.ts';
import type { Micros, TxOffset } from '../core/types.ts';
import { replicaPrefix, SERVER_PREFIX } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { readStoredImages } from '../replicate/server/stored-images.ts';
import { findNewestSnapshot } from '../replicate/stored-snapshots.ts';
import { readStoredState } from '../replicate/stored-state.ts';
import { type DestinationOptions, openDestination } from './destination.ts';
import { type AskOptions, listStoredReplicas, readKind } from './stored-parts.ts';

export interface StoredDescription {
  /** Null: nothing was ever stored. */
  readonly generation: string | null;
  readonly owner: string | null;
  readonly host: string | null;
  readonly released: boolean | null;
  readonly position: { readonly tx: TxOffset; readonly time: Micros | null } | null;
  readonly newestSnapshot: TxOffset | null;
}

/** A server's own files. */
export interface ImagesDescription {
  /** Null: nothing was ever stored. */
  readonly generation: string | null;
  readonly owner: string | null;
  readonly host: string | null;
  readonly released: boolean | null;
  /** Of the newest image of that generation; null while it has none of its own. */
  readonly newest: Micros | null;
}

export type DestinationContent =
  | { readonly kind: 'database'; readonly stored: StoredDescription }
  | {
      readonly kind: 'server';
      readonly images: ImagesDescription;
      readonly replicas: ReadonlyMap<bigint, StoredDescription | Error>;
    }
  /** Nothing was ever begun there: it may become either. */
  | { readonly kind: 'nothing' };

/** Databases of a server that are asked about at once. */
const ASKS_AT_ONCE = 8;

export const NOTHING_STORED: StoredDescription = {
  generation: null,
  owner: null,
  host: null,
  released: null,
  position: null,
  newestSnapshot: null,
};

/** @throws store errors, CorruptionError, UnsupportedFormatError, ConfigurationError */
export async function askDestination(
  url: string,
  { signal, ...options }: DestinationOptions & AskOptions,
): Promise<DestinationContent> {
  const { client } = await openDestination(url, options);
  await using _ = client;
  if ((await readKind(client, { signal })) !== 'server') {
    const stored = await describeStored(client, { signal });
    return stored.generation === null ? { kind: 'nothing' } : { kind: 'database', stored };
  }
  const images = await describeImages(prefixedClient(client, SERVER_PREFIX), { signal });
  const replicas = new Map<bigint, StoredDescription | Error>();
  const ask = async (id: bigint): Promise<readonly [bigint, StoredDescription | Error]> => {
    try {
      return [id, await describeStored(prefixedClient(client, replicaPrefix(id)), { signal })];
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof Error) return [id, error];
      throw error;
    }
  };
  const ids = await listStoredReplicas(client, { signal });
  for await (const [id, stored] of mapAhead(ids, ask, { ahead: ASKS_AT_ONCE, signal })) replicas.set(id, stored);
  return { kind: 'server', images, replicas };
}

async function describeStored(client: ReplicaClient, { signal }: AskOptions): Promise<StoredDescription> {
  const { head, generation, position, snapshots } = await readStoredState(client, { signal });
  // After a head's position only later keys were listed, which leaves out no snapshot: they sort behind the log.
  const listed = generation && { generation: generation.generation, snapshots };
  // A generation that holds nothing yet stands where it branched off.
  const parent = generation?.parent ? { tx: generation.parent.position.tx, time: null } : null;
  const newest = listed && generation ? await findNewestSnapshot(client, generation, { listed, signal }) : null;
  return {
    generation: generation?.generation ?? null,
    owner: head?.document.owner ?? null,
    host: head?.document.process.host ?? null,
    released: head?.document.released ?? null,
    position: position ? { tx: position.tx, time: position.time } : parent,
    newestSnapshot: newest?.tx ?? null,
  };
}

async function describeImages(client: ReplicaClient, { signal }: AskOptions): Promise<ImagesDescription> {
  const { head, generation, newest } = await readStoredImages(client, { signal });
  return {
    generation: generation?.generation ?? null,
    owner: head?.document.owner ?? null,
    host: head?.document.process.host ?? null,
    released: head?.document.released ?? null,
    newest: newest?.time ?? null,
  };
}
