/** What a restore tells while it runs and when it is done: plain data. */
import type { TimedPosition } from '../core/status.ts';
import type { Crc32c, TxOffset } from '../core/types.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import type { AbandonedLine, RestorePlan } from './plan-types.ts';
import type { ResolvedPoint } from './point-request.ts';

export interface RestoreProgress {
  /** search: objects are looked through for the asked point. */
  readonly phase: 'plan' | 'search' | 'fetch' | 'sync' | 'done';
  /** Log objects and the manifest as stored, objects of the snapshot plain. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly objectsDone: number;
  readonly objectsTotal: number;
  /** Of several: which database is being restored now, for people. */
  readonly database?: string;
}

export interface LevelSummary {
  readonly level: number;
  readonly objects: number;
  /** As stored. */
  readonly bytes: number;
}

export interface PlanSummary {
  readonly line: readonly LinePart[];
  readonly target: TimedPosition;
  readonly snapshot: {
    readonly generation: GenerationName;
    readonly tx: TxOffset;
    readonly objects: number;
    readonly plainBytes: number;
  } | null;
  readonly segments: number;
  readonly logObjects: number;
  /** As stored. */
  readonly logBytes: number;
  /** Ascending. */
  readonly levels: readonly LevelSummary[];
  /** The least that will be written, the log counted as stored. */
  readonly plainBytesMin: number;
  readonly abandoned: readonly AbandonedLine[];
}

export interface RestoreReport {
  /** `exists`: nothing was asked and nothing done, because a database is there. `planned`: a dry run. */
  readonly outcome: 'restored' | 'exists' | 'planned';
  /** The line's last generation; null where the store was not asked. */
  readonly generation: GenerationName | null;
  readonly databaseIdentity: string | null;
  readonly snapshot: TxOffset | null;
  /** The last commit of the restored log, or of the plan; null where the store was not asked. */
  readonly position: TimedPosition | null;
  /**
   * Of the last commit as it lies on disk: another one than the position's where the end of a log of format version 0 was
   * written as version 1. Null where nothing was written.
   */
  readonly crcOnDisk: Crc32c | null;
  /** Files of the log. */
  readonly segments: number;
  /** Written: log and snapshot, without offset indexes. */
  readonly plainBytes: number;
  /** Of these, what an interrupted restore had written, proven anew. */
  readonly reusedBytes: number;
  readonly fetchedBytes: number;
  readonly durationMs: number;
  /** What an operator must hear of although the restore succeeded: whole sentences. */
  readonly warnings: readonly string[];
  readonly plan: PlanSummary | null;
  /** What the asked point was resolved to; null where none was asked for. */
  readonly point: ResolvedPoint | null;
}

/** What a report says of a plan. */
export type PlanFacts = Pick<
  RestoreReport,
  'generation' | 'databaseIdentity' | 'snapshot' | 'position' | 'segments' | 'plan'
>;

export function planFacts(plan: RestorePlan): PlanFacts {
  const summary = summarizePlan(plan);
  return {
    generation: plan.generation,
    databaseIdentity: plan.databaseIdentity,
    snapshot: plan.snapshot?.tx ?? null,
    position: plan.target,
    segments: summary.segments,
    plan: summary,
  };
}

const NO_PLAN: PlanFacts = {
  generation: null,
  databaseIdentity: null,
  snapshot: null,
  position: null,
  segments: 0,
  plan: null,
};

/** What is known before anything was written; `plan` is null where the store was not asked. */
export function makeReport(
  plan: PlanFacts | null,
  facts: Pick<RestoreReport, 'outcome' | 'fetchedBytes' | 'durationMs' | 'warnings'> & { point?: ResolvedPoint | null },
): RestoreReport {
  return { ...(plan ?? NO_PLAN), crcOnDisk: null, plainBytes: 0, reusedBytes: 0, point: null, ...facts };
}

function summarizePlan(plan: RestorePlan): PlanSummary {
  const { line, target, snapshot, segments, abandoned } = plan;
  const objects = segments.flatMap(({ pieces }) => pieces.map(({ object }) => object));
  return {
    line,
    target,
    snapshot: snapshot && {
      generation: snapshot.generation,
      tx: snapshot.tx,
      objects: snapshot.header.objects,
      plainBytes: snapshot.header.plainBytes,
    },
    segments: segments.length + (plan.commitFromManifest ? 1 : 0),
    logObjects: objects.length,
    logBytes: objects.reduce((sum, { size }) => sum + size, 0),
    levels: levelsOf(objects),
    plainBytesMin: plan.plainBytesMin,
    abandoned,
  };
}

function levelsOf(objects: readonly LogObject[]): LevelSummary[] {
  const found = new Map<number, { objects: number; bytes: number }>();
  for (const { level, size } of objects) {
    const sum = found.get(level) ?? { objects: 0, bytes: 0 };
    found.set(level, { objects: sum.objects + 1, bytes: sum.bytes + size });
  }
  return [...found].map(([level, sum]) => ({ level, ...sum })).sort((a, b) => a.level - b.level);
}
