/**
 * Reads a restored replica directory back from the disk, as a server would find it: every commit of its log, every object
 * of its snapshots. What was proven on its way there is proven again where it lies.
 */
import { join } from 'node:path';
import type { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, formatPosition, type Position } from '../core/types.ts';
import { concurrently } from '../restore/concurrently.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { CLOG_DIR, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';
import { listObjects } from '../spacetimedb/snapshot-file.ts';
import { listSnapshots, readSnapshotFile, readSnapshotObject, type SnapshotEntry } from '../spacetimedb/snapshots.ts';

const READ_BYTES = 1024 * 1024;
const OBJECTS_AT_ONCE = 4;

export interface CheckDirectoryOptions {
  /** Where the log must end. */
  readonly position: Position;
  readonly budget: ByteBudget;
  readonly files?: ReadableFiles;
  readonly signal: AbortSignal;
}

/** @throws CorruptionError naming the file; LocalFileError; the signal's reason */
export async function checkReplicaDirectory(directory: string, options: CheckDirectoryOptions): Promise<void> {
  const { files = diskFiles, position, signal } = options;
  const segments = await listSegments(files, join(directory, CLOG_DIR));
  let end: Position | null = null;
  for (const segment of [...segments].sort((a, b) => (a.tx < b.tx ? -1 : 1))) {
    if (end !== null && segment.tx !== end.tx + 1n) {
      throw bad(segment.path, `begins at ${segment.tx}, and the file before it ends with ${end.tx}`);
    }
    end = await checkSegment(segment, { files, signal });
  }
  if (end === null || end.tx !== position.tx || end.crc !== position.crc) {
    const found = end === null ? 'with no commit' : `with ${formatPosition(end)}`;
    throw bad(join(directory, CLOG_DIR), `ends ${found} where it should with ${formatPosition(position)}`);
  }
  for (const snapshot of await listSnapshots(files, join(directory, SNAPSHOTS_DIR))) {
    await checkSnapshot(snapshot, { ...options, files });
  }
}

async function checkSegment(
  segment: SegmentEntry,
  { files, signal }: { readonly files: ReadableFiles; readonly signal: AbortSignal },
): Promise<Position> {
  await using reader = await openSegment(files, segment);
  if (reader === null || reader.version === null) throw bad(segment.path, 'is no segment');
  const scanner: CommitScanner = new CommitScanner({ version: reader.version, expectedTx: segment.tx });
  const bytes = await reader.plainBytes();
  for (let at = SEGMENT_HEADER_BYTES; at < bytes; at += READ_BYTES) {
    signal.throwIfAborted();
    scanner.push(await reader.read(byteOffset(at), Math.min(READ_BYTES, bytes - at)));
    if (scanner.problem !== null) throw bad(segment.path, `has a bad commit at transaction ${scanner.problem.tx}`);
  }
  const { lastTx, lastCrc, pendingBytes } = scanner;
  if (lastTx === null || lastCrc === null || pendingBytes > 0) throw bad(segment.path, 'does not end with a commit');
  return { tx: lastTx, crc: lastCrc };
}

async function checkSnapshot(
  snapshot: SnapshotEntry,
  { files, budget, signal }: CheckDirectoryOptions & { readonly files: ReadableFiles },
): Promise<void> {
  const file = await readSnapshotFile(files, snapshot);
  if (file === null) throw bad(snapshot.directory, 'is gone');
  const checkOne = async (object: ReturnType<typeof listObjects>[number]): Promise<void> => {
    signal.throwIfAborted();
    const plain = await readSnapshotObject(files, snapshot, object, { plainBytesMax: budget.bytesMax });
    if (plain === null) throw bad(snapshot.directory, `lacks the object ${object.hash}`);
  };
  await concurrently(listObjects(file.snapshot), checkOne, { limit: OBJECTS_AT_ONCE });
}

const bad = (path: string, what: string): CorruptionError =>
  new CorruptionError(`${path} ${what}`, {
    facts: { path },
    hint: 'What was restored there is not what was written: look at this disk.',
  });
