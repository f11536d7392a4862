/**
 * Whether good commits stand behind a place where none does. The offset index tells where to look: an entry is believed
 * only where a good commit of its offset stands. That is how the engine tells damage from a torn tail, too.
 */
import { join } from 'node:path';
import { byteOffset, type ByteOffset, type TxOffset } from '../core/types.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { decodeOffsetIndex, type OffsetIndexEntry } from '../spacetimedb/offset-index.ts';
import { openSegment, type SegmentReader } from '../spacetimedb/segment-reader.ts';
import type { TailPosition } from './commit-run.ts';
import { type LogSource, readOffsetIndex } from './local-log.ts';

/** Of a whole index some entries are enough: the newest may point to what a crash took away. */
const ENTRIES_TRIED_MAX = 16;
const CHUNK_BYTES = 256 * 1024;

export interface CommitBeyond {
  readonly tx: TxOffset;
  readonly at: ByteOffset;
}

/** Null where the index leads to none: there may still be some. @throws LocalFileError */
export async function findCommitBeyond(
  source: LogSource,
  { segment, at, nextTx }: TailPosition,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<CommitBeyond | null> {
  const index = await readOffsetIndex(source, segment);
  if (index === undefined) return null;
  const entries = decodeOffsetIndex(index).filter((entry) => entry.tx > nextTx && entry.at > at);
  if (entries.length === 0) return null;
  await using reader = await openSegment(source.files, join(source.directory, formatSegmentName(segment)));
  if (reader === null) return null;
  for (const entry of entries.slice(-ENTRIES_TRIED_MAX).reverse()) {
    if (await holdsCommit(reader, entry, { signal })) return entry;
  }
  return null;
}

async function holdsCommit(
  reader: SegmentReader,
  { tx, at: start }: OffsetIndexEntry,
  { signal }: { signal: AbortSignal | undefined },
): Promise<boolean> {
  if (reader.version === null) return false;
  const scanner = new CommitScanner({ version: reader.version, expectedTx: tx, at: start });
  for (let at: number = start; scanner.commits === 0 && scanner.problem === null; ) {
    signal?.throwIfAborted();
    const bytes = await reader.read(byteOffset(at), CHUNK_BYTES);
    if (bytes.byteLength === 0) break;
    scanner.push(bytes);
    at += bytes.byteLength;
  }
  return scanner.commits > 0;
}
