/**
 * Snapshots on disk. A server takes them, compresses the files of older ones in place, and renames or deletes whole
 * directories while we read: a thing that is gone is null, never an error, and what is read is proven by its hash.
 */
import { join } from 'node:path';
import { CorruptionError, LocalFileError } from '../core/errors.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { TxOffset } from '../core/types.ts';
import { decodeForeign } from '../zstd/foreign.ts';
import { FrameMeasure, isZstd } from '../zstd/frame-header.ts';
import {
  formatObjectPath,
  formatSnapshotFileName,
  formatSnapshotLockName,
  parseSnapshotDirName,
  parseSnapshotLockName,
} from './file-names.ts';
import { checkObject, PAGE_BYTES_MAX } from './page.ts';
import { readingFrom } from './reading-from.ts';
import {
  decodeSnapshotFile,
  type ObjectKind,
  type Snapshot,
  SNAPSHOT_FILE_BYTES_MAX,
  type SnapshotObject,
} from './snapshot-file.ts';

/** A snapshot's directory as it was when it was listed. */
export interface SnapshotEntry {
  /** The snapshot is of the state after this transaction, by the directory's name. */
  readonly tx: TxOffset;
  readonly directory: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/** All names in the `snapshots` directory: whether anything came, went or was locked. @throws LocalFileError */
export const listSnapshotNames = (files: ReadableFiles, snapshotsDir: string): Promise<readonly string[]> =>
  readingFrom(snapshotsDir, async () => (await files.list(snapshotsDir)) ?? []);

/**
 * The snapshots that may be complete, newest first: the snapshot file, which a server writes last, is there, and no
 * lock. Whether their objects are all there is not looked at. Empty where there is no such directory.
 *
 * @throws LocalFileError
 */
export function listSnapshots(files: ReadableFiles, snapshotsDir: string): Promise<readonly SnapshotEntry[]> {
  return readingFrom(snapshotsDir, async () => {
    const entries: SnapshotEntry[] = [];
    for (const { name, tx } of unlockedSnapshots(await listSnapshotNames(files, snapshotsDir))) {
      const directory = join(snapshotsDir, name);
      const facts = await files.facts(directory);
      if (facts?.kind !== 'directory') continue;
      if ((await files.facts(join(directory, formatSnapshotFileName(tx))))?.kind !== 'file') continue;
      entries.push({ tx, directory, device: facts.device, inode: facts.inode });
    }
    return entries.sort((a, b) => (a.tx < b.tx ? 1 : a.tx > b.tx ? -1 : 0));
  });
}

/** The names of snapshots' directories without a lock beside them, whole or not. */
export function unlockedSnapshots(
  names: readonly string[],
): readonly { readonly name: string; readonly tx: TxOffset }[] {
  const locked = new Set(names.map(parseSnapshotLockName));
  return names.flatMap((name) => {
    const tx = parseSnapshotDirName(name);
    return tx === null || locked.has(tx) ? [] : [{ name, tx }];
  });
}

/**
 * Whether the directory still stands under its name, is the same one, and is not locked. To be asked after everything
 * of it has been read: a server renames the snapshots of a history that it lost before it writes on.
 */
export function isSnapshotUnchanged(files: ReadableFiles, entry: SnapshotEntry): Promise<boolean> {
  return readingFrom(entry.directory, async () => {
    const lock = join(entry.directory, '..', formatSnapshotLockName(entry.tx));
    if ((await files.facts(lock)) !== null) return false;
    const facts = await files.facts(entry.directory);
    return facts?.kind === 'directory' && facts.inode === entry.inode && facts.device === entry.device;
  });
}

export interface ReadSnapshotFile {
  readonly snapshot: Snapshot;
  /** The file's plain bytes, as proven. */
  readonly bytes: Uint8Array;
}

/**
 * The snapshot file, proven by its hash; null when it is gone.
 *
 * @throws CorruptionError also when it is of another transaction than its name says. UnsupportedFormatError,
 * LocalFileError
 */
export function readSnapshotFile(files: ReadableFiles, entry: SnapshotEntry): Promise<ReadSnapshotFile | null> {
  const path = join(entry.directory, formatSnapshotFileName(entry.tx));
  return readingFrom(path, async () => {
    const raw = await readWhole(files, path, SNAPSHOT_FILE_BYTES_MAX);
    if (raw === null) return null;
    const bytes = isZstd(raw) ? await decodeForeign(raw, { plainBytesMax: SNAPSHOT_FILE_BYTES_MAX }) : raw;
    const snapshot = decodeSnapshotFile(bytes, { path });
    if (snapshot.txOffset !== entry.tx) {
      throw new CorruptionError(`${path} is a snapshot of transaction ${snapshot.txOffset}`, {
        facts: { path, tx: snapshot.txOffset },
      });
    }
    return { snapshot, bytes };
  });
}

export interface ReadObjectOptions {
  /** The most that may be held for this object. */
  readonly plainBytesMax: number;
}

/**
 * An object's plain bytes, proven by its name; null when there is no such file. It may be compressed in place between
 * two calls: what is open stays whole.
 *
 * @throws CorruptionError when it is not what its name says; LocalFileError when it is longer than `plainBytesMax`
 */
export function readSnapshotObject(
  files: ReadableFiles,
  entry: SnapshotEntry,
  object: SnapshotObject,
  { plainBytesMax }: ReadObjectOptions,
): Promise<Uint8Array | null> {
  const path = join(entry.directory, formatObjectPath(object.hash));
  return readingFrom(path, async () => {
    const bytesMax = object.kind === 'page' ? Math.min(plainBytesMax, PAGE_BYTES_MAX) : plainBytesMax;
    const raw = await readWhole(files, path, bytesMax);
    if (raw === null) return null;
    if (isZstd(raw) && !isObject(object, raw)) {
      const plain = await decodeObject(raw, { kind: object.kind, path, plainBytesMax: bytesMax });
      checkObject({ ...object, bytes: plain });
      return plain;
    }
    checkObject({ ...object, bytes: raw });
    return raw;
  });
}

/** A user's blob may itself be zstd, and a page begin by chance as zstd does: then the name proves the bytes as they are. */
function isObject(object: SnapshotObject, bytes: Uint8Array): boolean {
  try {
    checkObject({ ...object, bytes });
    return true;
  } catch (error) {
    if (error instanceof CorruptionError) return false;
    throw error;
  }
}

async function decodeObject(
  raw: Uint8Array,
  { kind, path, plainBytesMax }: { kind: ObjectKind; path: string; plainBytesMax: number },
): Promise<Uint8Array> {
  try {
    return await decodeForeign(raw, { plainBytesMax });
  } catch (cause) {
    if (!(cause instanceof CorruptionError)) throw cause;
    // A page that is longer than any page is damaged; a blob may only be longer than our budget.
    const bytes = kind === 'blob' ? plainBytesBound(raw) : 0;
    throw bytes > plainBytesMax ? tooLong(path, { bytes, plainBytesMax, cause }) : cause;
  }
}

/** What the frames of `raw` may hold at most; 0 when they cannot be walked, which is damage. */
function plainBytesBound(raw: Uint8Array): number {
  let bound = 0;
  try {
    for (let at = 0; at < raw.byteLength; ) {
      const measure = new FrameMeasure();
      const length = measure.advance(raw, at);
      if (length === null) return 0;
      if (!measure.skippable) bound += measure.header?.contentSize ?? measure.plainBytesMax;
      at += length;
    }
    return bound;
  } catch (error) {
    if (error instanceof CorruptionError) return 0;
    throw error;
  }
}

const tooLong = (path: string, facts: { bytes: number; plainBytesMax: number; cause?: unknown }): LocalFileError =>
  new LocalFileError(`${path} has up to ${facts.bytes} bytes; at most ${facts.plainBytesMax} can be held`, {
    hint: 'Give the program a larger memory budget.',
    cause: facts.cause,
    facts: { path, bytes: facts.bytes, bytesMax: facts.plainBytesMax },
  });

/** Null when there is no such file. Compressed data may be a little longer than what it was made from. */
async function readWhole(files: ReadableFiles, path: string, plainBytesMax: number): Promise<Uint8Array | null> {
  const file = await files.open(path);
  if (file === null) return null;
  await using _ = file;
  const { size } = await file.facts();
  if (size > plainBytesMax + Math.ceil(plainBytesMax / 128) + 1024) {
    throw tooLong(path, { bytes: size, plainBytesMax });
  }
  const bytes = Buffer.allocUnsafeSlow(size);
  return bytes.subarray(0, await file.read(bytes, 0));
}
