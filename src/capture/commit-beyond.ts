/**
 * Whether good commits stand behind a place where none does. The offset index tells where to look: an entry is believed
 * only where a good commit of its offset stands. That is how the engine tells damage from a torn tail, too. Where the
 * index is absent or tells nothing, the bad commit's own length and then the bytes behind it are tried.
 */
import { join } from 'node:path';
import { byteOffset, type ByteOffset, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import { COMMIT_HEADER_BYTES, decodeCommitHeader } from '../spacetimedb/commit.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { decodeOffsetIndex, type OffsetIndexEntry } from '../spacetimedb/offset-index.ts';
import { openSegment, type SegmentReader } from '../spacetimedb/segment-reader.ts';
import { highHalf, lowHalf, TWO_32 } from '../spacetimedb/u64-halves.ts';
import type { TailPosition } from './commit-run.ts';
import { type LogSource, readOffsetIndex } from './log-source.ts';

/** Of a whole index some entries are enough: the newest may point to what a crash took away. */
const ENTRIES_TRIED_MAX = 16;
const CHUNK_BYTES = 256 * 1024;
/** How far the bytes are searched: damage of a disk is a few sectors long. */
export const SEARCHED_BYTES_MAX = 8 * 1024 * 1024;
/** What looks like a commit's beginning and is none: more than this are no accident, and cost reading. */
const CANDIDATES_MAX = 256;
/** A commit's transactions are numbered on from the one before: no damage hides more than so many. */
const HIDDEN_TXS_MAX = 2 ** 24;

const NOTHING_WRITTEN = Buffer.alloc(CHUNK_BYTES + COMMIT_HEADER_BYTES[1]);

export interface CommitBeyond {
  readonly tx: TxOffset;
  readonly at: ByteOffset;
}

interface SearchOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Null where none is found: there may still be some. @throws LocalFileError; CorruptionError of a compressed file */
export async function findCommitBeyond(
  source: LogSource,
  position: Pick<TailPosition, 'segment' | 'at' | 'nextTx'>,
  { signal }: SearchOptions = {},
): Promise<CommitBeyond | null> {
  const { segment, at, nextTx } = position;
  await using reader = await openSegment(source.files, join(source.directory, formatSegmentName(segment)));
  if (reader === null || reader.version === null) return null;
  const index = (await readOffsetIndex(source, segment)) ?? new Uint8Array(0);
  const entries = decodeOffsetIndex(index).filter((entry) => entry.tx > nextTx && entry.at > at);
  for (const entry of entries.slice(-ENTRIES_TRIED_MAX).reverse()) {
    if (await holdsCommit(reader, entry, { signal })) return entry;
  }
  return (await followLength(reader, position, { signal })) ?? (await searchBytes(reader, position, { signal }));
}

/**
 * The first good commit behind `position` that can be found: where reading on after damage begins.
 * Null as for `findCommitBeyond`, which may give a later one.
 */
export async function findNextCommit(
  reader: SegmentReader,
  position: Pick<TailPosition, 'at' | 'nextTx'>,
  { offsetIndex, signal }: SearchOptions & { offsetIndex: Uint8Array | undefined },
): Promise<CommitBeyond | null> {
  const near = (await followLength(reader, position, { signal })) ?? (await searchBytes(reader, position, { signal }));
  if (near !== null) return near;
  const entries = decodeOffsetIndex(offsetIndex ?? new Uint8Array(0));
  for (const entry of entries.filter(({ tx, at }) => tx > position.nextTx && at > position.at)) {
    if (await holdsCommit(reader, entry, { signal })) return entry;
  }
  return null;
}

/** A commit whose body is bad may still tell its length and number of transactions. */
async function followLength(
  reader: SegmentReader,
  { at, nextTx }: Pick<TailPosition, 'at' | 'nextTx'>,
  options: SearchOptions,
): Promise<CommitBeyond | null> {
  if (reader.version === null) return null;
  const header = decodeCommitHeader(await reader.read(at, COMMIT_HEADER_BYTES[reader.version]), reader.version);
  if (header === null || header.tx !== nextTx || header.count === 0) return null;
  const after = nextTx + BigInt(header.count);
  if (after > U64_MAX) return null;
  const next = { tx: txOffset(after), at: byteOffset(at + header.bytes) };
  return (await holdsCommit(reader, next, options)) ? next : null;
}

/** Looks at each byte for a header that could be a later commit's, and believes it by its checksum. */
async function searchBytes(
  reader: SegmentReader,
  { at, nextTx }: Pick<TailPosition, 'at' | 'nextTx'>,
  { signal }: SearchOptions,
): Promise<CommitBeyond | null> {
  if (reader.version === null) return null;
  const headerBytes = COMMIT_HEADER_BYTES[reader.version];
  const plainBytes = await reader.plainBytes();
  const until = Math.min(plainBytes, at + 1 + SEARCHED_BYTES_MAX);
  let candidates = 0;
  for (let from: number = at + 1; from + headerBytes <= until; from += CHUNK_BYTES) {
    signal?.throwIfAborted();
    const bytes = await reader.read(byteOffset(from), Math.min(CHUNK_BYTES + headerBytes - 1, until - from));
    // Never-written space: of preallocated segments there is much.
    if (NOTHING_WRITTEN.compare(bytes, 0, bytes.byteLength, 0, bytes.byteLength) === 0) continue;
    for (const place of placesOfLaterCommits(bytes, nextTx, headerBytes)) {
      const header = decodeCommitHeader(bytes.subarray(place), reader.version);
      if (header === null || header.count === 0 || from + place + header.bytes > plainBytes) continue;
      const found = { tx: header.tx, at: byteOffset(from + place) };
      if (await holdsCommit(reader, found, { signal })) return found;
      candidates += 1;
      if (candidates >= CANDIDATES_MAX) return null;
    }
  }
  return null;
}

/** Where eight bytes are an offset a little above `nextTx`. Numbers only: this runs over millions of bytes. */
function* placesOfLaterCommits(
  bytes: Uint8Array,
  nextTx: TxOffset,
  headerBytes: number,
): Generator<number, void, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nextHi = highHalf(nextTx);
  const nextLo = lowHalf(nextTx);
  for (let place = 0; place + headerBytes <= bytes.byteLength; place += 1) {
    const hi = view.getUint32(place + 4, true);
    if (hi !== nextHi && hi !== nextHi + 1) continue;
    const hidden = view.getUint32(place, true) - nextLo + (hi - nextHi) * TWO_32;
    if (hidden > 0 && hidden <= HIDDEN_TXS_MAX) yield place;
  }
}

async function holdsCommit(
  reader: SegmentReader,
  { tx, at: start }: OffsetIndexEntry,
  { signal }: SearchOptions,
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
