/**
 * The names of SpacetimeDB's files and directories, parsed and formatted: text in, values out, no I/O.
 * A parse function answers null for every name that is not exactly of its shape, so that a name from outside can never
 * become a path. Source: FORMAT.md, "Names".
 */
import { join } from 'node:path';
import { assert } from '../core/errors.ts';
import { type TxOffset, txOffset, U64_MAX } from '../core/types.ts';

/** Below a server data dir. */
export const REPLICAS_DIR = 'replicas';
export const METADATA_FILE = 'metadata.toml';

/** Below a replica dir. */
export const CLOG_DIR = 'clog';
export const SNAPSHOTS_DIR = 'snapshots';
/** Locked (flock) while the database is open; below a replica dir. */
export const DB_LOCK_FILE = 'db.lock';

/** Below a snapshot dir. */
export const OBJECTS_DIR = 'objects';

export const SEGMENT_SUFFIX = '.stdb.log';
export const OFFSET_INDEX_SUFFIX = '.stdb.ofs';
export const SEGMENT_LOCK_SUFFIX = '.stdb.lock';
export const SNAPSHOT_DIR_SUFFIX = '.snapshot_dir';
export const SNAPSHOT_FILE_SUFFIX = '.snapshot_bsatn';
export const SNAPSHOT_LOCK_SUFFIX = '.lock';

/** Decimal digits of a transaction offset in a name. */
export const TX_DIGITS = 20;

const TX_PATTERN = /^[0-9]{20}$/;
const REPLICA_ID_PATTERN = /^(?:0|[1-9][0-9]{0,19})$/;
const HASH_PATTERN = /^[0-9a-f]{64}$/;

const formatTx = (tx: TxOffset): string => tx.toString().padStart(TX_DIGITS, '0');

function parseTxName(name: string, suffix: string): TxOffset | null {
  if (name.length !== TX_DIGITS + suffix.length || !name.endsWith(suffix)) return null;
  const digits = name.slice(0, TX_DIGITS);
  if (!TX_PATTERN.test(digits)) return null;
  const value = BigInt(digits);
  return value > U64_MAX ? null : txOffset(value);
}

/** `00000000000000000147.stdb.log`: a segment, by the offset of its first transaction. */
export const formatSegmentName = (tx: TxOffset): string => formatTx(tx) + SEGMENT_SUFFIX;
export const parseSegmentName = (name: string): TxOffset | null => parseTxName(name, SEGMENT_SUFFIX);

/** The offset index of the segment of the same number. */
export const formatOffsetIndexName = (tx: TxOffset): string => formatTx(tx) + OFFSET_INDEX_SUFFIX;
export const parseOffsetIndexName = (name: string): TxOffset | null => parseTxName(name, OFFSET_INDEX_SUFFIX);

/** There only while the segment of the same number is being created. */
export const formatSegmentLockName = (tx: TxOffset): string => formatTx(tx) + SEGMENT_LOCK_SUFFIX;
export const parseSegmentLockName = (name: string): TxOffset | null => parseTxName(name, SEGMENT_LOCK_SUFFIX);

/** The directory of the snapshot of the state after transaction `tx`. */
export const formatSnapshotDirName = (tx: TxOffset): string => formatTx(tx) + SNAPSHOT_DIR_SUFFIX;
export const parseSnapshotDirName = (name: string): TxOffset | null => parseTxName(name, SNAPSHOT_DIR_SUFFIX);

/** The snapshot file within its directory. */
export const formatSnapshotFileName = (tx: TxOffset): string => formatTx(tx) + SNAPSHOT_FILE_SUFFIX;
export const parseSnapshotFileName = (name: string): TxOffset | null => parseTxName(name, SNAPSHOT_FILE_SUFFIX);

/** Beside the snapshot's directory while that is taken or compressed, and for good after a kill meanwhile. */
export const formatSnapshotLockName = (tx: TxOffset): string => formatTx(tx) + SNAPSHOT_LOCK_SUFFIX;
export const parseSnapshotLockName = (name: string): TxOffset | null => parseTxName(name, SNAPSHOT_LOCK_SUFFIX);

/** `objects/ab/cdef…` below a snapshot's directory. `hash` is 64 lower-case hex digits: anything else is our bug. */
export function formatObjectPath(hash: string): string {
  assert(HASH_PATTERN.test(hash), `not a hash of 64 hex digits: ${JSON.stringify(hash)}`);
  return join(OBJECTS_DIR, hash.slice(0, 2), hash.slice(2));
}

/** The hash in `objects/ab/cdef…`; null for everything else, `<62 hex>._tmp` (being compressed) included. */
export function parseObjectPath(path: string): string | null {
  const parts = path.split('/');
  if (parts.length !== 3 || parts[0] !== OBJECTS_DIR || parts[1]?.length !== 2) return null;
  const hash = parts[1] + parts[2];
  return HASH_PATTERN.test(hash) ? hash : null;
}

/** The name of a replica dir below `replicas/`. The ids are u64, and not dense. */
export const formatReplicaId = (id: bigint): string => id.toString();
export function parseReplicaId(name: string): bigint | null {
  if (!REPLICA_ID_PATTERN.test(name)) return null;
  const id = BigInt(name);
  return id > U64_MAX ? null : id;
}
