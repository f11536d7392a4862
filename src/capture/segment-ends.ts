/**
 * Which commits end where in one segment, read from the file: for comparing it with what is stored.
 *
 * Damage ends nothing here: where the log goes on behind a bad commit, so does the reading, and what lies between is
 * neither there nor proven absent.
 */
import { byteOffset, type ByteOffset, type Crc32c, type TxOffset, txOffset } from '../core/types.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { locateCommit } from '../spacetimedb/locate.ts';
import { decodeOffsetIndex, type OffsetIndexEntry } from '../spacetimedb/offset-index.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment, type SegmentReader } from '../spacetimedb/segment-reader.ts';
import type { SegmentEntry } from '../spacetimedb/segments.ts';
import { findNextCommit } from './commit-beyond.ts';
import { type LogSource, readOffsetIndex } from './log-source.ts';

const SCAN_BYTES = 1024 * 1024;
/** Wanted commits that lie further apart, by the offset index, are looked up each by itself. */
const APART_BYTES = 4 * SCAN_BYTES;
/** A file with more bad places than this is not read further. */
const BAD_PLACES_MAX = 64;

export interface HeldEnd {
  readonly crc: Crc32c;
  /** Where the commit ends in the segment's plain bytes. */
  readonly end: ByteOffset;
}

/** What cannot be read although the log goes on behind it. */
export interface BadPlace {
  readonly at: ByteOffset;
  /** The first transaction that cannot be read. */
  readonly nextTx: TxOffset;
  /** Of the commit before; 0 where that is not known. */
  readonly crc: Crc32c;
  /** Where the log goes on; null: not in this segment. */
  readonly goesOn: TxOffset | null;
}

export interface SegmentEnds {
  /** By the last transaction of the commit. */
  readonly ends: ReadonlyMap<TxOffset, HeldEnd>;
  /** The last transaction of the last good commit that was read; null when there was none. */
  readonly lastTx: TxOffset | null;
  /** Places where reading stopped, although more was wanted. */
  readonly bad: readonly BadPlace[];
}

/**
 * @param wanted last transactions of commits, ascending, not empty, none before the segment's name
 * @throws CorruptionError of a compressed file that cannot be decoded; UnsupportedFormatError, LocalFileError
 */
export async function readSegmentEnds(
  source: LogSource,
  segment: SegmentEntry,
  { wanted, signal }: { wanted: readonly TxOffset[]; signal?: AbortSignal | undefined },
): Promise<SegmentEnds> {
  const reader = await openSegment(source.files, segment);
  if (reader === null || reader.version === null) {
    await reader?.close();
    const nowhere = { at: byteOffset(SEGMENT_HEADER_BYTES), nextTx: segment.tx, crc: 0 as Crc32c, goesOn: null };
    return { ends: new Map(), lastTx: null, bad: [nowhere] };
  }
  await using _ = reader;
  const offsetIndex = await readOffsetIndex(source, segment.tx);
  const ends = new Map<TxOffset, HeldEnd>();
  const bad: BadPlace[] = [];
  let lastTx: TxOffset | null = null;
  for (const group of groupsApart(wanted, decodeOffsetIndex(offsetIndex ?? new Uint8Array(0)))) {
    const located = await locateCommit(reader, group[0] as TxOffset, { offsetIndex, signal });
    const wantedTxs = new Set<TxOffset>(group);
    const found = await scanThroughDamage(reader, {
      from: located ?? beginning(segment.tx),
      until: group.at(-1) as TxOffset,
      onCommit: ({ lastTx: tx, crc, end }) => {
        if (wantedTxs.has(tx)) ends.set(tx, { crc, end });
        lastTx = tx;
      },
      offsetIndex,
      signal,
    });
    bad.push(...found);
  }
  return { ends, lastTx, bad };
}

/** So that little is read between two commits that lie far from each other. The entries are hints: they group, no more. */
function groupsApart(
  wanted: readonly TxOffset[],
  entries: readonly OffsetIndexEntry[],
): readonly (readonly TxOffset[])[] {
  const groups: TxOffset[][] = [];
  let entry = -1;
  let lastAt = Number.NEGATIVE_INFINITY;
  for (const tx of wanted) {
    while ((entries[entry + 1]?.tx ?? tx + 1n) <= tx) entry += 1;
    const at = entries[entry]?.at ?? 0;
    if (groups.length === 0 || at - lastAt > APART_BYTES) groups.push([]);
    groups.at(-1)?.push(tx);
    lastAt = at;
  }
  return groups;
}

/** The checked commit that holds `tx`, also where the file is bad before it; null where it is not there. */
export async function locateThroughDamage(
  reader: SegmentReader,
  tx: TxOffset,
  { offsetIndex, signal }: { offsetIndex: Uint8Array | undefined; signal?: AbortSignal | undefined },
): Promise<CommitFacts | null> {
  const direct = await locateCommit(reader, tx, { offsetIndex, signal });
  if (direct !== null || tx < reader.tx) return direct;
  let found: CommitFacts | null = null;
  await scanThroughDamage(reader, {
    from: beginning(reader.tx),
    until: tx,
    onCommit: (facts) => {
      if (found !== null || facts.tx > tx || facts.lastTx < tx) return;
      found = { ...facts, recordPrefix: facts.recordPrefix.slice() };
    },
    offsetIndex,
    signal,
  });
  return found;
}

interface Place {
  readonly tx: TxOffset;
  readonly start: ByteOffset;
}

const beginning = (segment: TxOffset): Place => ({ tx: segment, start: byteOffset(SEGMENT_HEADER_BYTES) });

interface ScanOptions {
  readonly from: Place;
  /** Up to the commit that holds this transaction. */
  readonly until: TxOffset;
  readonly onCommit: (facts: CommitFacts) => void;
  readonly offsetIndex: Uint8Array | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The places where reading had to stop before `until`. */
async function scanThroughDamage(
  reader: SegmentReader,
  { until, onCommit, offsetIndex, signal, ...options }: ScanOptions,
): Promise<readonly BadPlace[]> {
  const bad: BadPlace[] = [];
  for (let from: Place | null = options.from; from !== null && reader.version !== null; ) {
    const scanner: CommitScanner = new CommitScanner({
      version: reader.version,
      expectedTx: from.tx,
      at: from.start,
      onCommit,
    });
    for (let at: number = from.start; scanner.nextTx <= until && scanner.problem === null; ) {
      signal?.throwIfAborted();
      const bytes = await reader.read(byteOffset(at), SCAN_BYTES);
      if (bytes.byteLength === 0) break;
      scanner.push(bytes);
      at += bytes.byteLength;
    }
    if (scanner.nextTx > until) break;
    const place = { at: scanner.end, nextTx: scanner.nextTx };
    const crc = scanner.lastCrc ?? (0 as Crc32c);
    if (bad.length >= BAD_PLACES_MAX) {
      // Nothing is proven of what is not read: neither that it is there, nor that it is not.
      bad.push({ ...place, crc, goesOn: txOffset(until + 1n) });
      break;
    }
    const next = await findNextCommit(reader, place, { offsetIndex, signal });
    bad.push({ ...place, crc, goesOn: next?.tx ?? null });
    from = next === null || next.tx > until ? null : { tx: next.tx, start: next.at };
  }
  return bad;
}
