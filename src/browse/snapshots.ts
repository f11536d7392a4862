/** The snapshots of a backup, one row each: names, and the first bytes of each manifest. */
import { CorruptionError } from '../core/errors.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { type Micros, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { chooseGeneration } from '../layout/line.ts';
import type { ListedManifest } from '../layout/listing.ts';
import { walkLine } from '../layout/walk-line.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { isUnusable } from '../restore/follow-plan.ts';
import { snapshotsOf } from '../restore/line-runs.ts';
import type { StoreView } from '../restore/plan-types.ts';
import { readManifestHeader } from '../restore/read-snapshot.ts';
import { lineTo } from '../restore/recoverable.ts';

/**
 * usable: a restore can end with it. later-points: the commit that it was taken at is no longer kept, so that it serves
 * only points behind it. no-log: neither. damaged, gone: its manifest; gone since it was listed.
 */
export type SnapshotState = 'usable' | 'later-points' | 'no-log' | 'damaged' | 'gone';

export interface SnapshotRow {
  readonly generation: GenerationName;
  readonly tx: TxOffset;
  /** Whether a restore along the head's line may begin with it. */
  readonly onHeadLine: boolean;
  /** Of its manifest. */
  readonly manifestBytes: number;
  /** The line's time there; this and what follows is null where the manifest cannot be read. */
  readonly time: Micros | null;
  readonly databaseIdentity: string | null;
  /** Pages and blobs. */
  readonly objects: number | null;
  /** Of these objects, plain. What is stored of it is shared with other snapshots. */
  readonly plainBytes: number | null;
  readonly packs: number | null;
  readonly state: SnapshotState;
  /** With `damaged`. */
  readonly problem: string | null;
}

/**
 * Ascending by transaction, of one transaction by generation. Whether the packs are whole is not looked at.
 *
 * @throws what the client throws
 */
export async function describeSnapshots(view: StoreView, fetch: FetchOptions): Promise<readonly SnapshotRow[]> {
  const onLine = headSnapshots(view);
  const listed = [...view.listing.manifests.values()].flat().sort(byTx);
  const rows: SnapshotRow[] = [];
  const describe = (manifest: ListedManifest): Promise<SnapshotRow> =>
    describeSnapshot(manifest, { view, fetch, onHeadLine: onLine.has(manifest.key) });
  const ahead = { ahead: fetch.parallelism, signal: fetch.signal };
  for await (const row of mapAhead(listed, describe, ahead)) rows.push(row);
  return rows;
}

const byTx = (a: ListedManifest, b: ListedManifest): number =>
  a.tx !== b.tx ? (a.tx < b.tx ? -1 : 1) : a.generation < b.generation ? -1 : 1;

/** Keys of the manifests of the head's line; none where that line cannot be followed. */
function headSnapshots(view: StoreView): ReadonlySet<string> {
  const { head, listing } = view;
  const end = chooseGeneration(head, listing.generations);
  if (end === null) return new Set();
  try {
    return new Set(snapshotsOf({ line: lineTo(view, end), listed: listing.manifests }).map(({ key }) => key));
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return new Set();
  }
}

async function describeSnapshot(
  manifest: ListedManifest,
  { view, fetch, onHeadLine }: { view: StoreView; fetch: FetchOptions; onHeadLine: boolean },
): Promise<SnapshotRow> {
  const { generation, tx, key, size } = manifest;
  const known = { generation, tx, onHeadLine, manifestBytes: size };
  try {
    const header = await readManifestHeader({ generation, tx, manifestKey: key, manifestBytes: size }, fetch);
    const { time, databaseIdentity, objects, plainBytes, packs } = header;
    const state = header.commit === null ? stateInLog(manifest, view) : 'usable';
    return { ...known, time, databaseIdentity, objects, plainBytes, packs, state, problem: null };
  } catch (error) {
    if (!isUnusable(error)) throw error;
    const nothing = { time: null, databaseIdentity: null, objects: null, plainBytes: null, packs: null };
    if (error instanceof ObjectNotFoundError) return { ...known, ...nothing, state: 'gone', problem: null };
    return { ...known, ...nothing, state: 'damaged', problem: error.message };
  }
}

/** What the log gives to a snapshot whose manifest does not keep its own commit. @throws CorruptionError */
function stateInLog({ generation, tx }: ListedManifest, view: StoreView): SnapshotState {
  const line = lineTo(view, generation);
  const options = { objects: view.listing.logObjects, documents: view.documents };
  const [holder] = walkLine(line, { ...options, from: tx }).steps;
  if (holder !== undefined && holder.object.first <= tx) return 'usable';
  if (tx === U64_MAX) return 'no-log';
  const next = txOffset(tx + 1n);
  const [follower] = walkLine(line, { ...options, from: next }).steps;
  return follower !== undefined && follower.object.first <= next ? 'later-points' : 'no-log';
}
