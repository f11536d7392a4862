/** What the local log holds of commits that are stored: the comparison that every start rests on. Local reads only. */
import { join } from 'node:path';
import type { ReadableFiles } from '../core/readable-files.ts';
import {
  byteOffset,
  type ByteOffset,
  type Crc32c,
  formatPosition,
  type Micros,
  type Position,
  type TxOffset,
} from '../core/types.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { formatOffsetIndexName } from '../spacetimedb/file-names.ts';
import { locateCommit } from '../spacetimedb/locate.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';
import type { TailPosition } from './commit-run.ts';
import { beginningOf } from './log-tailer.ts';

/** A database's commit log: its `clog` directory, through the port. */
export interface LogSource {
  readonly files: ReadableFiles;
  readonly directory: string;
}

const SCAN_BYTES = 1024 * 1024;
/** An index of a 64 GiB segment with an entry every 4096 bytes; a longer file is no index of ours to believe. */
const OFFSET_INDEX_BYTES_MAX = 256 * 1024 * 1024;

/** The offset at which the local log begins: its oldest segment that is longer than a header. Null: no log yet. */
export async function readLogStart({ files, directory }: LogSource): Promise<TxOffset | null> {
  const segments = await listSegments(files, directory);
  return segments.find(({ size }) => size > SEGMENT_HEADER_BYTES)?.tx ?? null;
}

export type LogComparison =
  | { readonly agreement: 'agrees'; readonly tail: TailPosition }
  | { readonly agreement: 'shorter' | 'differs' | 'gap'; readonly detail: string };

/**
 * Compares stored ends of commits with the local log, each that it still holds.
 *
 * @param ends ascending, not empty; the last one is the stored position
 * @param time the greatest time in the line up to the stored position
 */
export async function compareWithLocalLog(
  { files, directory }: LogSource,
  ends: readonly Position[],
  { time, signal }: { time: Micros; signal?: AbortSignal | undefined },
): Promise<LogComparison> {
  const segments = (await listSegments(files, directory)).filter(({ size }) => size > SEGMENT_HEADER_BYTES);
  const stored = ends.at(-1);
  const oldest = segments[0];
  if (stored === undefined || oldest === undefined) throw new RangeError('nothing to compare');
  if (oldest.tx > stored.tx + 1n) {
    return { agreement: 'gap', detail: `it starts at transaction ${oldest.tx}, after the stored ${stored.tx}` };
  }
  if (oldest.tx === stored.tx + 1n) {
    return { agreement: 'agrees', tail: { ...beginningOf(oldest.tx, time), crc: stored.crc } };
  }
  let tail: TailPosition | null = null;
  for (const [segment, wanted] of bySegment(segments, ends)) {
    const last = wanted.at(-1) as Position;
    const held = await readEnds({ files, directory }, segment, { wanted, signal });
    for (const end of wanted) {
      const found = held.ends.get(end.tx);
      if (found === undefined || found.crc !== end.crc) return disagreement(end, found, held);
    }
    const found = held.ends.get(last.tx) as HeldEnd;
    tail = { segment: segment.tx, at: found.end, nextTx: (last.tx + 1n) as TxOffset, crc: last.crc, time };
  }
  return tail === null
    ? { agreement: 'shorter', detail: `it holds no commit up to the stored transaction ${stored.tx}` }
    : { agreement: 'agrees', tail };
}

function disagreement(end: Position, found: HeldEnd | undefined, held: HeldEnds): LogComparison {
  if (found !== undefined) {
    return {
      agreement: 'differs',
      detail: `it has crc ${found.crc.toString(16)} where ${formatPosition(end)} is stored`,
    };
  }
  return held.lastTx !== null && held.lastTx > end.tx
    ? { agreement: 'differs', detail: `no commit of it ends at the stored transaction ${end.tx}` }
    : { agreement: 'shorter', detail: `it ends before the stored transaction ${end.tx}` };
}

/** The ends grouped by the segment that should hold them; those older than the log are left out. */
function bySegment(segments: readonly SegmentEntry[], ends: readonly Position[]): Map<SegmentEntry, Position[]> {
  const groups = new Map<SegmentEntry, Position[]>();
  for (const end of ends) {
    const segment = segments.findLast(({ tx }) => tx <= end.tx);
    if (segment === undefined) continue;
    const group = groups.get(segment);
    // Without a head these may be hundreds of thousands.
    if (group === undefined) groups.set(segment, [end]);
    else group.push(end);
  }
  return groups;
}

interface HeldEnd {
  readonly crc: Crc32c;
  readonly end: ByteOffset;
}

interface HeldEnds {
  readonly ends: ReadonlyMap<TxOffset, HeldEnd>;
  /** The last transaction of the last good commit that was read; null when there was none. */
  readonly lastTx: TxOffset | null;
}

async function readEnds(
  { files, directory }: LogSource,
  segment: SegmentEntry,
  { wanted, signal }: { wanted: readonly Position[]; signal: AbortSignal | undefined },
): Promise<HeldEnds> {
  const ends = new Map<TxOffset, HeldEnd>();
  let lastTx: TxOffset | null = null;
  const first = wanted[0] as Position;
  const last = wanted.at(-1) as Position;
  const reader = await openSegment(files, segment);
  if (reader === null) return { ends, lastTx };
  await using _ = reader;
  const start = await locateCommit(reader, first.tx, {
    offsetIndex: await readOffsetIndex({ files, directory }, segment.tx),
  });
  if (start === null || reader.version === null) return { ends, lastTx };
  const wantedTxs = new Set(wanted.map(({ tx }) => tx));
  const scanner = new CommitScanner({
    version: reader.version,
    expectedTx: start.tx,
    at: start.start,
    onCommit: ({ lastTx: tx, crc, end }) => {
      if (wantedTxs.has(tx)) ends.set(tx, { crc, end });
      lastTx = tx;
    },
  });
  for (let at: number = start.start; scanner.nextTx <= last.tx && scanner.problem === null; ) {
    signal?.throwIfAborted();
    const bytes = await reader.read(byteOffset(at), SCAN_BYTES);
    if (bytes.byteLength === 0) break;
    scanner.push(bytes);
    at += bytes.byteLength;
  }
  return { ends, lastTx };
}

/** The content of a segment's offset index: a hint. Undefined where there is none, or none to believe. */
export async function readOffsetIndex({ files, directory }: LogSource, tx: TxOffset): Promise<Uint8Array | undefined> {
  const file = await files.open(join(directory, formatOffsetIndexName(tx)));
  if (file === null) return undefined;
  await using _ = file;
  const { size } = await file.facts();
  if (size > OFFSET_INDEX_BYTES_MAX) return undefined;
  const bytes = new Uint8Array(size);
  return bytes.subarray(0, await file.read(bytes, 0));
}

/** A commit's bytes as a segment of its own: the header, then the commit. Null where the log no longer holds it. */
export async function readCommitAsSegment(
  { files, directory }: LogSource,
  tx: TxOffset,
  { commitBytesMax }: { commitBytesMax: number },
): Promise<{ bytes: Uint8Array; position: Position; time: Micros | null } | null> {
  const segments = await listSegments(files, directory);
  const segment = segments.findLast((entry) => entry.tx <= tx && entry.size > SEGMENT_HEADER_BYTES);
  const reader = segment && (await openSegment(files, segment));
  if (!segment || !reader) return null;
  await using _ = reader;
  const found = await locateCommit(reader, tx, {
    offsetIndex: await readOffsetIndex({ files, directory }, segment.tx),
  });
  if (found === null || reader.header === null || found.end - found.start > commitBytesMax) return null;
  const commit = await reader.read(found.start, found.end - found.start);
  return {
    bytes: Buffer.concat([reader.header, commit]),
    position: { tx: found.lastTx, crc: found.crc },
    time: found.time,
  };
}
