/** One run out of an open segment, or why there is none now. */
import { assert } from '../core/errors.ts';
import { byteOffset, type ByteOffset, type TxOffset } from '../core/types.ts';
import { COMMIT_HEADER_BYTES, decodeCommitHeader } from '../spacetimedb/commit.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import type { SegmentReader } from '../spacetimedb/segment-reader.ts';
import { bytesBeforeBadSector, isNotGiven } from './bad-sectors.ts';
import { COMMIT_BYTES_IN_MEMORY_MAX, type CommitRun, RUN_BYTES_TARGET, type TailPosition } from './commit-run.ts';

/**
 * Why no whole commit stands at a place. `end`: nothing after it. `in-progress`: a beginning, which may become whole.
 * The others cannot become whole by growth; at the end of a log they are what a crash left behind.
 */
export interface Stall {
  readonly kind: 'end' | 'in-progress' | 'zero' | 'bad-crc' | 'bad-length' | 'out-of-order' | 'epoch-backwards';
  readonly at: ByteOffset;
  /** Bytes that stand there without being a whole commit. */
  readonly bytes: number;
}

export const isRun = (result: CommitRun | Stall): result is CommitRun => 'parts' in result;

/** Whether no growth makes a commit of it, and it is more than what preallocation or a torn write leaves. */
export const isBad = ({ kind }: Stall): boolean => kind !== 'end' && kind !== 'in-progress' && kind !== 'zero';

interface Scanned {
  readonly scanner: CommitScanner;
  readonly parts: CommitRun['parts'];
  readonly inMemory: boolean;
}

function newScanner(reader: SegmentReader, from: TailPosition): CommitScanner {
  assert(reader.version !== null, 'a segment without a header was read for commits');
  const { nextTx: expectedTx, at, time: timeBefore, epoch = null } = from;
  // A reader of the object that is cut from these runs sees one row of commits, and refuses a falling epoch.
  const epochBefore = epoch === null ? {} : { epochBefore: epoch };
  return new CommitScanner({ version: reader.version, expectedTx, at, timeBefore, ...epochBefore });
}

/** @param signal ends the pass over a commit that is longer than memory */
export async function readRun(
  reader: SegmentReader,
  from: TailPosition,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<CommitRun | Stall> {
  const available = (await reader.plainBytes()) - from.at;
  if (available <= 0) return { kind: 'end', at: from.at, bytes: 0 };
  const scanned =
    (await scanReadable(reader, from, Math.min(RUN_BYTES_TARGET, available))) ??
    (await scanLongCommit(reader, from, { available, signal }));
  if (scanned === null) return { kind: 'in-progress', at: from.at, bytes: available };
  const { scanner } = scanned;
  if (scanner.end === from.at) {
    assert(scanner.problem !== null, 'a scan neither went on nor named a problem');
    return { kind: scanner.problem.kind, at: from.at, bytes: available };
  }
  return makeRun(reader, from, scanned);
}

/**
 * As `scanInMemory`, of as much of it as can be read: what stands before a bad sector, or a frame that
 * cannot be decoded, is no less good for it. Null where
 * that is no whole commit: the next one's own length tells then whether it is the one that cannot be read.
 */
async function scanReadable(reader: SegmentReader, from: TailPosition, length: number): Promise<Scanned | null> {
  try {
    return await scanInMemory(reader, from, length);
  } catch (error) {
    if (!isNotGiven(error)) throw error;
    const readable = await bytesBeforeBadSector(reader, from.at, length);
    return readable === 0 ? null : scanInMemory(reader, from, readable);
  }
}

/** Null when the bytes hold only the beginning of a commit. */
async function scanInMemory(reader: SegmentReader, from: TailPosition, length: number): Promise<Scanned | null> {
  const bytes = await reader.read(from.at, length);
  const scanner = newScanner(reader, from);
  scanner.push(bytes);
  if (scanner.end === from.at && scanner.problem === null) return null;
  const whole = bytes.subarray(0, scanner.end - from.at);
  return { scanner, parts: () => inParts(whole), inMemory: true };
}

/** A commit that does not fit a run: taken into memory, or checked by a pass. Null while it is not all there. */
async function scanLongCommit(
  reader: SegmentReader,
  from: TailPosition,
  { available, signal }: { available: number; signal: AbortSignal | undefined },
): Promise<Scanned | null> {
  assert(reader.version !== null, 'a segment without a header was read for commits');
  const head = await reader.read(from.at, Math.min(COMMIT_HEADER_BYTES[reader.version], available));
  const header = decodeCommitHeader(head, reader.version);
  if (header === null || header.bytes > available) return null;
  const totalBytes = header.bytes;
  if (totalBytes <= COMMIT_BYTES_IN_MEMORY_MAX) return scanInMemory(reader, from, totalBytes);
  const parts = (): AsyncIterable<Uint8Array> => readParts(reader, from.at, totalBytes);
  const scanner = newScanner(reader, from);
  for await (const part of parts()) {
    signal?.throwIfAborted();
    scanner.push(part);
  }
  return { scanner, parts, inMemory: false };
}

function* inParts(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += RUN_BYTES_TARGET) yield bytes.subarray(at, at + RUN_BYTES_TARGET);
}

async function* readParts(reader: SegmentReader, start: ByteOffset, length: number): AsyncIterable<Uint8Array> {
  for (let done = 0; done < length; ) {
    const part = await reader.read(byteOffset(start + done), Math.min(RUN_BYTES_TARGET, length - done));
    assert(part.byteLength > 0, 'a segment became shorter while it was read');
    done += part.byteLength;
    yield part;
  }
}

function makeRun(reader: SegmentReader, from: TailPosition, { scanner, parts, inMemory }: Scanned): CommitRun {
  assert(scanner.lastCrc !== null && reader.header !== null, 'a run without a commit');
  return {
    segment: reader.tx,
    header: reader.header,
    first: from.nextTx,
    last: (scanner.nextTx - 1n) as TxOffset,
    prev: from.crc,
    crc: scanner.lastCrc,
    time: scanner.time,
    epoch: scanner.lastEpoch,
    commits: scanner.commits,
    start: from.at,
    end: scanner.end,
    parts,
    inMemory,
  };
}

/** Whether something stands now where only zeros did: a preallocated segment never changes its size. */
export async function isWrittenOver(reader: SegmentReader, stall: Stall | null): Promise<boolean> {
  if (stall?.kind !== 'zero' || reader.version === null) return false;
  const header = await reader.read(stall.at, COMMIT_HEADER_BYTES[reader.version]);
  return header.some((byte) => byte !== 0);
}

/** Where reading goes on after `run`. */
export const afterRun = (run: CommitRun): TailPosition => ({
  segment: run.segment,
  at: run.end,
  nextTx: (run.last + 1n) as TxOffset,
  crc: run.crc,
  time: run.time,
  epoch: run.epoch,
});
