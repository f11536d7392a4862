/** What the local log holds of commits that are stored: the comparison that every start rests on. Local reads only. */
import { CorruptionError, SourceDivergedError, UnsupportedFormatError } from '../core/errors.ts';
import {
  byteOffset,
  type Crc32c,
  formatCrc,
  formatPosition,
  type Micros,
  type Position,
  type TxOffset,
  txOffset,
} from '../core/types.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';
import type { TailPosition } from './commit-run.ts';
import { type LogSource, readOffsetIndex } from './log-source.ts';
import { beginningOf } from './log-tailer.ts';
import { type BadPlace, type HeldEnd, locateThroughDamage, readSegmentEnds, type SegmentEnds } from './segment-ends.ts';

/** The segments that hold something; one whose ten bytes are no header that is known is not called empty. */
async function listFilledSegments({ files, directory }: LogSource): Promise<readonly SegmentEntry[]> {
  const filled: SegmentEntry[] = [];
  for (const entry of await listSegments(files, directory)) {
    const isHeaderLong = entry.size === SEGMENT_HEADER_BYTES;
    if (isHeaderLong ? !(await beginsAsKnown(files, entry)) : entry.size > SEGMENT_HEADER_BYTES) filled.push(entry);
  }
  return filled;
}

/** Whether `entry` has a header that this program can read on from, or is gone. @throws LocalFileError */
async function beginsAsKnown(files: LogSource['files'], entry: SegmentEntry): Promise<boolean> {
  try {
    await using _ = await openSegment(files, entry);
    return true;
  } catch (error) {
    if (error instanceof UnsupportedFormatError || error instanceof CorruptionError) return false;
    throw error;
  }
}

/** The offset at which the local log begins: its oldest segment that is longer than a header. Null: no log yet. */
export async function readLogStart(source: LogSource): Promise<TxOffset | null> {
  return (await listFilledSegments(source))[0]?.tx ?? null;
}

export type LogComparison =
  | { readonly agreement: 'agrees'; readonly tail: TailPosition }
  | { readonly agreement: 'shorter' | 'differs' | 'gap'; readonly detail: string }
  /** The stored position cannot be read locally, although the log goes on behind it. */
  | { readonly agreement: 'damaged'; readonly detail: string; readonly damage: TailPosition };

/**
 * Compares stored ends of commits with the local log, each that it still holds.
 *
 * @param ends ascending, not empty; the last one is the stored position
 * @param time the greatest time in the line up to the stored position
 * @throws SourceDivergedError when no log is there; UnsupportedFormatError, LocalFileError
 */
export async function compareWithLocalLog(
  source: LogSource,
  ends: readonly Position[],
  { time, signal }: { time: Micros; signal?: AbortSignal | undefined },
): Promise<LogComparison> {
  const segments = await listFilledSegments(source);
  const stored = ends.at(-1);
  const oldest = segments[0];
  if (stored === undefined) throw new RangeError('nothing to compare');
  // It was there a moment ago.
  if (oldest === undefined) throw logGone(source);
  if (oldest.tx > stored.tx + 1n) {
    return { agreement: 'gap', detail: `it starts at transaction ${oldest.tx}, after the stored ${stored.tx}` };
  }
  if (oldest.tx === stored.tx + 1n) {
    return { agreement: 'agrees', tail: { ...beginningOf(oldest.tx, time), crc: stored.crc } };
  }
  let tail: TailPosition | null = null;
  for (const [segment, wanted] of bySegment(segments, ends)) {
    const held = await readEnds(source, segment, { wanted, segments, signal });
    for (const end of wanted) {
      const found = held.ends.get(end.tx);
      const unreadable = found === undefined ? badPlaceOf(end.tx, held) : null;
      if (unreadable !== null) {
        if (end !== stored) continue;
        return damaged(unreadable, { segment, stored, time });
      }
      if (found?.crc !== end.crc) return disagreement(end, found, held);
      tail = { segment: segment.tx, at: found.end, nextTx: txOffset(end.tx + 1n), crc: end.crc, time };
    }
  }
  return tail === null
    ? { agreement: 'shorter', detail: `it holds no commit up to the stored transaction ${stored.tx}` }
    : { agreement: 'agrees', tail };
}

const logGone = ({ directory }: LogSource): SourceDivergedError =>
  new SourceDivergedError(`the commit log in ${directory} is gone`, { facts: { directory } });

function disagreement(end: Position, found: HeldEnd | undefined, held: SegmentEnds): LogComparison {
  if (found !== undefined) {
    const detail = `it has crc ${formatCrc(found.crc)} where ${formatPosition(end)} is stored`;
    return { agreement: 'differs', detail };
  }
  return held.lastTx !== null && held.lastTx > end.tx
    ? { agreement: 'differs', detail: `no commit of it ends at the stored transaction ${end.tx}` }
    : { agreement: 'shorter', detail: `it ends before the stored transaction ${end.tx}` };
}

/** What is stored is safe: only what follows it is missed, and the place where the file is bad is told. */
function damaged(
  { at, nextTx, crc }: BadPlace,
  { segment, stored, time }: { segment: SegmentEntry; stored: Position; time: Micros },
): LogComparison {
  return {
    agreement: 'damaged',
    detail: `it lacks transaction ${nextTx}, at byte ${at} of segment ${segment.tx}, although it goes on behind the stored ${stored.tx}`,
    damage: { segment: segment.tx, at, nextTx, crc, time },
  };
}

/** The bad place within which `tx` lies; null where its commit is proven not to be there. */
export function badPlaceOf(tx: TxOffset, { bad }: SegmentEnds): BadPlace | null {
  return bad.find(({ nextTx, goesOn }) => tx >= nextTx && goesOn !== null && tx < goesOn) ?? null;
}

/** The ends grouped by the segment that should hold them; those older than the log are left out. */
function bySegment(segments: readonly SegmentEntry[], ends: readonly Position[]): Map<SegmentEntry, Position[]> {
  const groups = new Map<SegmentEntry, Position[]>();
  let index = 0;
  for (const end of ends) {
    // Both ascend. Without a head these may be hundreds of thousands.
    while ((segments[index + 1]?.tx ?? end.tx + 1n) <= end.tx) index += 1;
    const segment = segments[index];
    if (segment === undefined || segment.tx > end.tx) continue;
    const group = groups.get(segment);
    if (group === undefined) groups.set(segment, [end]);
    else group.push(end);
  }
  return groups;
}

/** As `readSegmentEnds`; what a segment lacks before its successor's name is damage, and so is a file without sense. */
async function readEnds(
  source: LogSource,
  segment: SegmentEntry,
  options: {
    wanted: readonly Position[];
    segments: readonly SegmentEntry[];
    signal: AbortSignal | undefined;
  },
): Promise<SegmentEnds> {
  const { segments, signal } = options;
  const wanted = options.wanted.map(({ tx }) => tx);
  const successor = segments.find(({ tx }) => tx > segment.tx)?.tx ?? null;
  try {
    const held = await readSegmentEnds(source, segment, { wanted, signal });
    return { ...held, bad: held.bad.map((place) => ({ ...place, goesOn: place.goesOn ?? successor })) };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const at = byteOffset(SEGMENT_HEADER_BYTES);
    const goesOn = successor ?? txOffset((wanted.at(-1) as TxOffset) + 1n);
    return { ends: new Map(), lastTx: null, bad: [{ at, nextTx: segment.tx, crc: 0 as Crc32c, goesOn }] };
  }
}

export interface LocalEnds {
  /** Where the local log begins; null where there is none. */
  readonly logStart: TxOffset | null;
  readonly ends: ReadonlyMap<TxOffset, Crc32c>;
  /** Whether it is not known if a commit ends there, because the file is damaged. */
  isUnreadable(tx: TxOffset): boolean;
}

/**
 * Which of the wanted transactions are the last ones of commits of the local log, and those commits' checksums.
 *
 * @param wanted in any order
 * @throws UnsupportedFormatError, LocalFileError
 */
export async function readLocalEnds(
  source: LogSource,
  wanted: Iterable<TxOffset>,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<LocalEnds> {
  const segments = await listFilledSegments(source);
  const ascending = [...new Set(wanted)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const ends = new Map<TxOffset, Crc32c>();
  const parts: SegmentEnds[] = [];
  const asked = ascending.map((tx) => ({ tx, crc: 0 as Crc32c }));
  for (const [segment, group] of bySegment(segments, asked)) {
    const held = await readEnds(source, segment, { wanted: group, segments, signal });
    for (const [tx, { crc }] of held.ends) ends.set(tx, crc);
    if (held.bad.length > 0) parts.push(held);
  }
  return {
    logStart: segments[0]?.tx ?? null,
    ends,
    isUnreadable: (tx) => !ends.has(tx) && parts.some((held) => badPlaceOf(tx, held) !== null),
  };
}

/** Where reading goes on after a commit of the local log, given by its last transaction; null where it is not there. */
export async function locateTail(
  source: LogSource,
  end: Position,
  { time, signal }: { time: Micros; signal?: AbortSignal | undefined },
): Promise<TailPosition | null> {
  const comparison = await compareWithLocalLog(source, [end], { time, signal });
  return comparison.agreement === 'agrees' ? comparison.tail : null;
}

/**
 * Where the commit that holds `tx` begins, as a place to read from without what stands before it; null: not there, or in a
 * file without sense.
 *
 * @throws UnsupportedFormatError, LocalFileError
 */
export async function locateOwnCommit(
  source: LogSource,
  tx: TxOffset,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<TailPosition | null> {
  try {
    return await locateOwn(source, tx, options);
  } catch (error) {
    if (error instanceof CorruptionError) return null;
    throw error;
  }
}

async function locateOwn(
  source: LogSource,
  tx: TxOffset,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<TailPosition | null> {
  const segment = (await listFilledSegments(source)).findLast((entry) => entry.tx <= tx);
  const reader = segment && (await openSegment(source.files, segment));
  if (!segment || !reader) return null;
  await using _ = reader;
  const offsetIndex = await readOffsetIndex(source, segment.tx);
  const found = await locateThroughDamage(reader, tx, { offsetIndex, signal });
  return found && { ...beginningOf(segment.tx, 0n as Micros), at: found.start, nextTx: found.tx, begins: true };
}
