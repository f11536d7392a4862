/** What a configured directory holds. Nothing is written, and of the log only the last segment is read. */
import { join } from 'node:path';
import type { ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, type TxOffset } from '../core/types.ts';
import { classifyDirectory, type DirectoryKind } from '../spacetimedb/classify-directory.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { CLOG_DIR } from '../spacetimedb/file-names.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';

export interface LocalDescription {
  readonly kind: DirectoryKind['kind'];
  /** Of a server data directory. */
  readonly replicas: readonly string[];
  readonly segments: number;
  /** Bytes of the segments on disk. */
  readonly bytes: number;
  readonly first: TxOffset | null;
  readonly last: TxOffset | null;
}

const SCAN_BYTES = 1024 * 1024;

/** The last transaction of a segment's valid commits; null when it holds none. */
async function lastOf(files: ReadableFiles, segment: SegmentEntry, signal: AbortSignal): Promise<TxOffset | null> {
  const reader = await openSegment(files, segment);
  if (reader === null || reader.version === null) {
    await reader?.close();
    return null;
  }
  await using _ = reader;
  let last: TxOffset | null = null;
  const onCommit = ({ lastTx }: { readonly lastTx: TxOffset }): void => {
    last = lastTx;
  };
  const start = byteOffset(SEGMENT_HEADER_BYTES);
  const scanner = new CommitScanner({ version: reader.version, expectedTx: segment.tx, at: start, onCommit });
  for (let at: number = start; scanner.problem === null; ) {
    signal.throwIfAborted();
    const bytes = await reader.read(byteOffset(at), SCAN_BYTES);
    if (bytes.byteLength === 0) break;
    scanner.push(bytes);
    at += bytes.byteLength;
  }
  return last;
}

/** Only the last segments are read: of the others the names tell enough. */
export async function describeLocal(
  files: ReadableFiles,
  path: string,
  { signal }: { signal: AbortSignal },
): Promise<LocalDescription> {
  const found = await classifyDirectory(files, path);
  const replicas = found.kind === 'server' ? found.replicas : [];
  const segments = found.kind === 'replica' ? await listSegments(files, join(path, CLOG_DIR)) : [];
  const bytes = segments.reduce((sum, { size }) => sum + size, 0);
  let last: TxOffset | null = null;
  for (const segment of [...segments].reverse()) {
    last = await lastOf(files, segment, signal);
    if (last !== null) break;
  }
  const first = last === null ? null : (segments[0]?.tx ?? null);
  return { kind: found.kind, replicas, segments: segments.length, bytes, first, last };
}
