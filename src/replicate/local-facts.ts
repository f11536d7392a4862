/** What the local directory says of its database at a start. Local reads only. */
import { basename } from 'node:path';
import type { TailPosition } from '../capture/commit-run.ts';
import { locateOwnCommit } from '../capture/local-log.ts';
import type { LogSource } from '../capture/log-source.ts';
import type { LocalFileError } from '../core/errors.ts';
import type { TxOffset } from '../core/types.ts';
import { parseReplicaId } from '../spacetimedb/file-names.ts';
import { listSnapshots, readSnapshotFile, type SnapshotEntry } from '../spacetimedb/snapshots.ts';
import { isOfOneSnapshot, isOfTheseFiles } from './one-snapshot.ts';
import type { LocalLogState } from './start-decision.ts';

export interface LocalPlace {
  readonly source: LogSource;
  /** The `snapshots` directory. */
  readonly snapshotsDirectory: string;
  /** The replica directory. */
  readonly database: string;
}

export interface LocalFacts {
  readonly logStart: TxOffset;
  /** Those that may be complete and whose file can be read, newest first. */
  readonly snapshots: readonly SnapshotEntry[];
  /** Of the newest of them; null where there is none. */
  readonly databaseIdentity: string | null;
  readonly replicaId: bigint | null;
  /** Why the snapshots could not be listed: then nothing is known of them, and the log alone decides. */
  readonly unlisted: LocalFileError | null;
}

type Listed = Pick<LocalFacts, 'snapshots' | 'unlisted'>;

async function listThem({ source, snapshotsDirectory }: LocalPlace): Promise<Listed> {
  try {
    return { snapshots: await listSnapshots(source.files, snapshotsDirectory), unlisted: null };
  } catch (error) {
    if (isOfTheseFiles(error)) return { snapshots: [], unlisted: error };
    throw error;
  }
}

export async function readLocalFacts(place: LocalPlace, logStart: TxOffset): Promise<LocalFacts> {
  const { source, database } = place;
  const { snapshots: entries, unlisted } = await listThem(place);
  for (const [index, entry] of entries.entries()) {
    const read = await readSnapshotFile(source.files, entry).catch((error: unknown) => {
      // One that cannot be read says nothing of the database; it is reported when it would be stored.
      if (isOfOneSnapshot(error)) return null;
      throw error;
    });
    if (read === null) continue;
    const { databaseIdentity, replicaId } = read.snapshot;
    return { logStart, snapshots: entries.slice(index), databaseIdentity, replicaId, unlisted };
  }
  const replicaId = parseReplicaId(basename(database));
  return { logStart, snapshots: [], databaseIdentity: null, replicaId, unlisted };
}

export function localLogState({ logStart, snapshots }: LocalFacts): LocalLogState {
  if (logStart === 0n) return 'from-zero';
  const newest = snapshots[0]?.tx;
  return newest !== undefined && newest >= logStart - 1n ? 'above-zero-based' : 'above-zero-baseless';
}

/**
 * Where a line can begin behind damage: at the own commit of the oldest snapshot at or after `from`, which keeps the
 * most. Null while no such snapshot stands, or none whose commit can be read.
 */
export async function findBase(
  { source }: LocalPlace,
  { snapshots }: LocalFacts,
  { from, signal }: { from: TxOffset; signal?: AbortSignal | undefined },
): Promise<TailPosition | null> {
  for (const entry of snapshots.toReversed()) {
    if (entry.tx < from || (await readUsable(source, entry)) === null) continue;
    const tail = await locateOwnCommit(source, entry.tx, { signal });
    if (tail !== null) return tail;
  }
  return null;
}

async function readUsable({ files }: LogSource, entry: SnapshotEntry): Promise<unknown> {
  try {
    return await readSnapshotFile(files, entry);
  } catch (error) {
    if (isOfOneSnapshot(error)) return null;
    throw error;
  }
}
