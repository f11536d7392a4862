/**
 * The unbroken stretches of a line that can be restored, and from what: offset 0, or a snapshot behind whatever is missing.
 * Pure: names alone, and of manifests what somebody has read.
 *
 * Invariants: runs ascend and do not overlap; every commit that ends in a run at or behind its `first` is a recovery point;
 * where nothing is missing there is one run.
 */
import { type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import type { ListedManifest } from '../layout/listing.ts';
import type { WalkEnd } from '../layout/walk.ts';
import { type LineStep, type LineWalk, walkLine } from '../layout/walk-line.ts';
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

/** @throws CorruptionError as `walkLine` */
export function findRuns(options: FindRunsOptions): readonly LineRun[] {
  const runs: LineRun[] = [];
  const whole = walkLine(options.line, { ...options, from: txOffset(0n) });
  if (whole.end !== null && whole.steps[0]?.object.first === 0n) {
    const facts = { snapshot: null, commitFromManifest: false, steps: whole.steps, end: whole.end };
    runs.push({ first: txOffset(0n), last: whole.end.tx, ...facts });
  }
  for (const manifest of snapshotsOf(options)) {
    const covered = runs.at(-1)?.last ?? null;
    if ((covered !== null && manifest.tx <= covered) || options.unusable?.has(manifest.key) === true) continue;
    const run = runFrom(manifest, options);
    if (run !== null) runs.push(run);
  }
  return runs;
}

/** Those of the line, ascending. Those beyond a parent point are of another history. */
export function snapshotsOf({ line, listed }: Pick<FindRunsOptions, 'line' | 'listed'>): ListedManifest[] {
  const found = line.flatMap(({ generation, until }) =>
    (listed.get(generation) ?? []).filter(({ tx }) => until === null || tx <= until.tx),
  );
  // Of one transaction, the newer generation's first.
  return found.sort((a, b) => (a.tx !== b.tx ? (a.tx < b.tx ? -1 : 1) : a.generation > b.generation ? -1 : 1));
}

/** Null where the snapshot leads to no recovery point. */
function runFrom(snapshot: ListedManifest, options: FindRunsOptions): LineRun | null {
  const { tx, key } = snapshot;
  const inLog = walkLine(options.line, { ...options, from: tx });
  const held = inLog.steps[0]?.object;
  if (held !== undefined && held.first <= tx) return toRun(snapshot, inLog, { first: tx, commitFromManifest: false });
  const facts = options.manifests?.get(key);
  const own = facts?.commit?.position ?? null;
  const hasCommit = facts === undefined || own !== null;
  const last = own?.tx ?? tx;
  if (last < U64_MAX) {
    const next = txOffset(last + 1n);
    const after = walkLine(options.line, { ...options, from: next });
    const follower = after.steps[0]?.object;
    if (follower !== undefined && follows(follower, next, own)) {
      return toRun(snapshot, after, { first: hasCommit ? tx : next, commitFromManifest: hasCommit });
    }
  }
  return hasCommit ? { first: tx, last, snapshot, commitFromManifest: true, steps: [], end: null } : null;
}

function toRun(
  snapshot: ListedManifest,
  { steps, end }: LineWalk,
  rest: Pick<LineRun, 'first' | 'commitFromManifest'>,
): LineRun | null {
  return end === null ? null : { ...rest, last: end.tx, snapshot, steps, end };
}
