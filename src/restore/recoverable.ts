/** Which points of a line can be restored, from names alone: for people, and for whoever judges a backup. Pure. */
import type { Crc32c, Micros, Position, TxOffset } from '../core/types.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import { type LinePart, lineOf } from '../layout/line.ts';
import { findRuns, type LineRun } from './line-runs.ts';
import type { ManifestFacts, StoreView } from './plan-types.ts';

export interface RangeEnd {
  readonly tx: TxOffset;
  /** Null where no name tells it: of a snapshot that stands alone. */
  readonly crc: Crc32c | null;
  /** The line's time there; null where no name tells it. */
  readonly time: Micros | null;
  /** False where the line ends within an object: the time is then that of the object before, which may be earlier. */
  readonly timeIsExact: boolean;
}

/** Every commit that ends between `first` and `to.tx` is a recovery point. */
export interface RecoverableRange {
  /** 0, the snapshot's transaction, or the one after it where its own commit is not kept. */
  readonly first: TxOffset;
  /** The first recovery point; null where no name tells it: a name tells of an object's last commit only. */
  readonly from: Position | null;
  /** The line's time at `from`; null as that. */
  readonly fromTime: Micros | null;
  readonly to: RangeEnd;
  /** What a restore begins with at the least: the log from offset 0, or a snapshot. */
  readonly base: 'log' | 'snapshot';
  /** Transaction of that snapshot; null with `log`. */
  readonly snapshot: TxOffset | null;
  /** snapshot-only: the range is one point, that of the snapshot. */
  readonly granularity: 'commit' | 'snapshot-only';
}

export interface RecoverableOptions {
  /** What is known of manifests, by key. Of others it is supposed that they keep their snapshot's own commit. */
  readonly manifests?: ReadonlyMap<string, ManifestFacts> | undefined;
  /** Objects and manifests that are damaged or gone, by key: left out. */
  readonly unusable?: ReadonlyMap<string, Error> | undefined;
}

/**
 * Of the line that ends with `generation`, ascending. Between two ranges is a hole, which nothing leads over; where the
 * line is whole there is one range, or none where it has no recovery point. Whether the store lacks something behind the
 * last range is not told here: the head's position may say so.
 *
 * @throws CorruptionError as `lineOf` and `walkLine`: a document of the line is damaged or missing, two checksums for one
 * transaction
 */
export function recoverableRanges(
  view: StoreView,
  generation: GenerationName,
  options: RecoverableOptions = {},
): readonly RecoverableRange[] {
  return joined(rangesOf(lineRuns(view, lineTo(view, generation), options), { view, ...options }));
}

/** Two runs that only need another snapshot to begin with are one range: nothing lies between them. */
function joined(ranges: readonly RecoverableRange[]): readonly RecoverableRange[] {
  const found: RecoverableRange[] = [];
  for (const range of ranges) {
    const before = found.at(-1);
    if (before === undefined || range.first > before.to.tx + 1n) found.push(range);
    else found[found.length - 1] = { ...before, to: range.to, granularity: 'commit' };
  }
  return found;
}

export const rangesOf = (
  runs: readonly LineRun[],
  options: RecoverableOptions & { readonly view: StoreView },
): readonly RecoverableRange[] => runs.map((run) => toRange(run, options));

/** The line that ends with `generation`. @throws CorruptionError */
export function lineTo({ documents, badDocuments }: StoreView, generation: GenerationName): readonly LinePart[] {
  const seen = new Set<GenerationName>();
  for (let name: GenerationName | undefined = generation; name !== undefined && !seen.has(name); ) {
    // A document that cannot be read is no matter unless the line leads through it.
    const bad = badDocuments.get(name);
    if (bad !== undefined) throw bad;
    seen.add(name);
    name = documents.get(name)?.parent?.generation;
  }
  return lineOf(generation, documents);
}

/** @throws CorruptionError as `walkLine` */
export function lineRuns(
  { documents, listing }: StoreView,
  line: readonly LinePart[],
  { manifests, unusable }: RecoverableOptions = {},
): readonly LineRun[] {
  const objects = usableObjects(listing.logObjects, unusable);
  return findRuns({ line, objects, documents, listed: listing.manifests, manifests, unusable });
}

export function usableObjects(
  objects: ReadonlyMap<GenerationName, readonly LogObject[]>,
  unusable: ReadonlyMap<string, Error> | undefined,
): ReadonlyMap<GenerationName, readonly LogObject[]> {
  if (unusable === undefined || unusable.size === 0) return objects;
  return new Map([...objects].map(([name, some]) => [name, some.filter(({ key }) => !unusable.has(key))]));
}

function toRange(run: LineRun, options: RecoverableOptions & { readonly view: StoreView }): RecoverableRange {
  const { snapshot, first, end } = run;
  const begin = beginOf(run, options);
  return {
    first,
    from: begin && { tx: begin.tx, crc: begin.crc },
    fromTime: begin?.time ?? null,
    to: end ?? { tx: run.last, crc: begin?.crc ?? null, time: begin?.time ?? null, timeIsExact: true },
    base: snapshot === null ? 'log' : 'snapshot',
    snapshot: snapshot?.tx ?? null,
    granularity: end === null ? 'snapshot-only' : 'commit',
  };
}

/** The first recovery point, where a manifest or the name of an object that ends there tells it. */
function beginOf(
  { snapshot, first, commitFromManifest, steps }: LineRun,
  { view, manifests }: RecoverableOptions & { readonly view: StoreView },
): (Position & { readonly time: Micros }) | null {
  const facts = snapshot && manifests?.get(snapshot.key);
  if (commitFromManifest && facts?.commit) return { ...facts.commit.position, time: facts.header.time };
  const begin = steps[0]?.object;
  if (!commitFromManifest) return begin?.last === first ? { tx: begin.last, crc: begin.crc, time: begin.time } : null;
  // The log itself no longer leads from there, but the object that ended there may still be listed.
  for (const objects of view.listing.logObjects.values()) {
    const own = objects.find(({ last, crc }) => last === first && begin?.prev === crc);
    if (own !== undefined) return { tx: own.last, crc: own.crc, time: own.time };
  }
  return null;
}
