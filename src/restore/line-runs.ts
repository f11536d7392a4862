/**
 * The unbroken stretches of a line that can be restored, and from what: offset 0, or a snapshot behind whatever is missing.
 * Pure: names alone, and of manifests what somebody has read.
 *
 * Invariants: runs ascend and do not overlap; every commit that ends in a run at or behind its `first` is a recovery point;
 * where nothing is missing there is one run. Runs are maximal: what lies in none, no restore leads to.
 */
import { crc32cValue, type Position, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import type { ListedManifest } from '../layout/listing.ts';
import type { WalkEnd } from '../layout/walk.ts';
import { type LineStep, walkLine } from '../layout/walk-line.ts';
import { furthestOf, LineReach } from './line-reach.ts';
import { follows } from './plan-log.ts';
import type { ManifestFacts } from './plan-types.ts';

export interface LineRun {
  /** The first recovery point is the end of the commit that holds this transaction. */
  readonly first: TxOffset;
  /** The last recovery point is the end of the commit that holds this transaction. */
  readonly last: TxOffset;
  /** Null where the log reaches back to offset 0. */
  readonly snapshot: ListedManifest | null;
  /** Whether the first recovery point is the snapshot's own commit, as its manifest keeps it, and lies in no step. */
  readonly commitFromManifest: boolean;
  /** Empty where the snapshot stands alone. The first one may hold commits before `first`. */
  readonly steps: readonly LineStep[];
  /** Null where the snapshot stands alone. */
  readonly end: WalkEnd | null;
}

export interface FindRunsOptions {
  readonly line: readonly LinePart[];
  readonly objects: ReadonlyMap<GenerationName, readonly LogObject[]>;
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
  readonly listed: ReadonlyMap<GenerationName, readonly ListedManifest[]>;
  /** By key. Of a manifest that is not known it is supposed that it keeps its commit, which ends with the snapshot. */
  readonly manifests?: ReadonlyMap<string, ManifestFacts> | undefined;
  /** Manifests that are damaged or gone, by key. */
  readonly unusable?: ReadonlyMap<string, Error> | undefined;
}

/** A place where a restore may begin, and how far the log leads from there by names. */
interface Entry {
  readonly snapshot: ListedManifest;
  /** The first recovery point, as `LineRun`. */
  readonly first: TxOffset;
  readonly reach: TxOffset;
  readonly commitFromManifest: boolean;
  /** What the log must hold, or begin with; null where the snapshot stands alone. */
  readonly from: TxOffset | null;
}

/** @throws CorruptionError as `walkLine` */
export function findRuns(options: FindRunsOptions): readonly LineRun[] {
  const runs: LineRun[] = [];
  const whole = walkLine(options.line, { ...options, from: txOffset(0n) });
  if (whole.end !== null && whole.steps[0]?.object.first === 0n) {
    const facts = { snapshot: null, commitFromManifest: false, steps: whole.steps, end: whole.end };
    runs.push({ first: txOffset(0n), last: whole.end.tx, ...facts });
  }
  for (const entry of entriesOf(options, runs.at(-1)?.last ?? null)) {
    const covered = runs.at(-1)?.last ?? null;
    if (covered !== null && entry.reach <= covered) continue;
    const run = runFrom(entry, options);
    if (run !== null && (covered === null || run.last > covered)) runs.push(behind(run, covered));
  }
  return runs;
}

/** By where they begin, and of one place the one that leads furthest first; none where nothing leads beyond `covered`. */
function entriesOf(options: FindRunsOptions, covered: TxOffset | null): readonly Entry[] {
  const snapshots = snapshotsOf(options).filter(({ key }) => options.unusable?.has(key) !== true);
  const furthest = furthestOf(options);
  const isBeyond = (tx: TxOffset): boolean => covered === null || tx > covered;
  const ownEnd = (snapshot: ListedManifest): TxOffset => ownPosition(snapshot, options)?.tx ?? snapshot.tx;
  if ((furthest === null || !isBeyond(furthest)) && !snapshots.some((snapshot) => isBeyond(ownEnd(snapshot))))
    return [];
  const reach = new LineReach(options);
  const entries = snapshots.flatMap((snapshot) => entriesFrom(snapshot, reach, options));
  return entries.sort((a, b) => compare(a.first, b.first) || compare(b.reach, a.reach));
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

const ownPosition = ({ key }: ListedManifest, { manifests }: FindRunsOptions): Position | null =>
  manifests?.get(key)?.commit?.position ?? null;

/** By the object that holds the snapshot's commit, and by what follows it: one may lead further than the other. */
function entriesFrom(snapshot: ListedManifest, reach: LineReach, options: FindRunsOptions): Entry[] {
  const { tx, key } = snapshot;
  const entries: Entry[] = [];
  const held = reach.holding(tx);
  if (held !== null) entries.push({ snapshot, first: tx, reach: held, commitFromManifest: false, from: tx });
  const own = ownPosition(snapshot, options);
  const facts = options.manifests?.get(key);
  const commitFromManifest = facts === undefined || own !== null;
  const last = own?.tx ?? tx;
  const next = last < U64_MAX ? txOffset(last + 1n) : null;
  const followed = next && reach.following(next, own && [own.crc, crc32cValue(0)]);
  if (next !== null && followed !== null) {
    entries.push({ snapshot, first: commitFromManifest ? tx : next, reach: followed, commitFromManifest, from: next });
  }
  if (commitFromManifest) entries.push({ snapshot, first: tx, reach: last, commitFromManifest, from: null });
  return entries;
}

/** Those of the line, ascending. Those beyond a parent point are of another history. */
export function snapshotsOf({ line, listed }: Pick<FindRunsOptions, 'line' | 'listed'>): ListedManifest[] {
  const found = line.flatMap(({ generation, until }) =>
    (listed.get(generation) ?? []).filter(({ tx }) => until === null || tx <= until.tx),
  );
  // Of one transaction, the newer generation's first.
  return found.sort((a, b) => (a.tx !== b.tx ? (a.tx < b.tx ? -1 : 1) : a.generation > b.generation ? -1 : 1));
}

/** Null where the walk does not lead as the names of single objects promise. */
function runFrom(
  { snapshot, first, reach, commitFromManifest, from }: Entry,
  options: FindRunsOptions,
): LineRun | null {
  const rest = { snapshot, first, commitFromManifest };
  if (from === null) return { ...rest, last: reach, steps: [], end: null };
  const { steps, end } = walkLine(options.line, { ...options, from });
  const begin = steps[0]?.object;
  if (end === null || begin === undefined) return null;
  const isJoined = from === snapshot.tx ? begin.first <= from : follows(begin, from, ownPosition(snapshot, options));
  return isJoined ? { ...rest, last: end.tx, steps, end } : null;
}

/** Objects may overlap so that a run leads further than the one before it, from a snapshot within that one. */
function behind(run: LineRun, covered: TxOffset | null): LineRun {
  if (covered === null || run.first > covered) return run;
  const first = txOffset(covered + 1n);
  const at = run.steps.findIndex(({ object, cut }) => (cut?.tx ?? object.last) >= first);
  const [begin, ...rest] = at < 0 ? [] : run.steps.slice(at);
  // The run before ends within the snapshot's own commit: of another history, or by a name that was changed.
  if (begin === undefined || (run.commitFromManifest && begin.object.first > first)) return { ...run, first };
  const steps = [{ ...begin, from: first > begin.object.first ? first : null }, ...rest];
  return { ...run, first, commitFromManifest: false, steps };
}
