/** What a restore says at its end. */
import type { Micros } from '../core/types.ts';
import type { RestoreReport } from '../restore/restore.ts';
import type { PlanSummary } from '../restore/restore-report.ts';
import { formatPointLines, pointDocument } from './restore-point.ts';
import { ageSeconds, counted, humanAge, humanBytes, humanDuration, humanTime, isoTime } from './units.ts';

export interface RestoreOutcome extends RestoreReport {
  /** The destination without secrets. */
  readonly source: string;
  /** Absolute. */
  readonly target: string;
}

/** 1970: the line's time before any commit that has one. */
const isKnownTime = (time: Micros): boolean => time > 0n;

export function formatPoint({ position }: RestoreReport, now: Micros): string {
  if (position === null) return 'unknown';
  const when = isKnownTime(position.time)
    ? `of ${humanTime(position.time)}, ${humanAge(ageSeconds(position.time, now))}`
    : 'without a time';
  return `${position.tx} ${when}`;
}

const rate = (bytes: number, ms: number): string => (ms < 1 ? '' : ` (${humanBytes((bytes * 1000) / ms)}/s)`);

export function formatBase({ snapshot, segments, plan }: RestoreReport): string {
  const objects = plan?.snapshot ? `, ${counted(plan.snapshot.objects, 'object')}` : '';
  const base = snapshot === null ? 'no snapshot: the whole log' : `snapshot ${snapshot}${objects}`;
  return `${base}; ${counted(segments, 'segment')} of the log`;
}

/**
 * What a store and a disk of a small machine give: a restore reads, checks and writes so many bytes a second at the least.
 * Assumed: a dry run measures nothing.
 */
const ASSUMED_BYTES_PER_SECOND = 100_000_000;
/** The start, the plan, and the last fsync of all directories. */
const ASSUMED_START_MS = 300;
/** Until a distant store's first byte; so many are waited for at once. */
const ASSUMED_REQUEST_MS = 100;
const ASSUMED_REQUESTS_AT_ONCE = 8;
/** Of a snapshot's packs, where they lie together. */
const ASSUMED_BYTES_PER_REQUEST = 8 * 1024 * 1024;

const workOf = ({ logBytes, snapshot }: PlanSummary): number => logBytes + (snapshot?.plainBytes ?? 0);

function expectedMs(plan: PlanSummary): number {
  const { levels, snapshot } = plan;
  const packs = Math.ceil((snapshot?.plainBytes ?? 0) / ASSUMED_BYTES_PER_REQUEST);
  const requests = levels.reduce((sum, { objects }) => sum + objects, packs);
  const requestsMs = (requests / ASSUMED_REQUESTS_AT_ONCE) * ASSUMED_REQUEST_MS;
  return ASSUMED_START_MS + requestsMs + (workOf(plan) * 1000) / ASSUMED_BYTES_PER_SECOND;
}

/** Nobody can foretell a part of a second. */
const aboutDuration = (ms: number): string => (ms < 1000 ? 'less than a second' : `about ${humanDuration(ms)}`);

/** What a plan costs: objects and bytes by level, what is written, and how long that may take. */
export function formatWork(plan: PlanSummary): string[] {
  const { levels, snapshot, plainBytesMin, segments } = plan;
  const each = levels.map(
    ({ level, objects, bytes }) => `  level ${level}      ${counted(objects, 'object')}, ${humanBytes(bytes)}`,
  );
  const from =
    snapshot &&
    `  snapshot     ${snapshot.tx} of generation ${snapshot.generation}, ${humanBytes(snapshot.plainBytes)}`;
  return [
    ...(from === null ? [] : [from]),
    ...each,
    `  size         about ${humanBytes(workOf(plan))} to fetch and check`,
    `  to write     ${humanBytes(plainBytesMin)} at the least: ${counted(segments, 'segment')}${snapshot === null ? '' : ' and the snapshot'}`,
    `  time         ${aboutDuration(expectedMs(plan))}, at an assumed ${humanBytes(ASSUMED_BYTES_PER_SECOND)}/s and ${ASSUMED_REQUEST_MS} ms a request`,
  ];
}

/** Lines for people, without a newline at the end. */
export function formatRestore(outcome: RestoreOutcome, now: Micros): string {
  const { source, target, generation, plainBytes, reusedBytes, fetchedBytes, durationMs, plan } = outcome;
  const point = `  transaction  ${formatPoint(outcome, now)}`;
  const from = `  from         ${source}, generation ${generation ?? 'unknown'}`;
  const base = `  made of      ${formatBase(outcome)}`;
  const asked = formatPointLines(outcome.point);
  switch (outcome.outcome) {
    case 'exists':
      return `${target} already holds a database: nothing was restored`;
    case 'planned': {
      return [`would restore ${target}`, point, ...asked, from, base, ...(plan ? formatWork(plan) : [])].join('\n');
    }
    case 'restored': {
      const bytes = `  written      ${humanBytes(plainBytes)}, verified, in ${humanDuration(durationMs)}${rate(plainBytes, durationMs)}; ${humanBytes(fetchedBytes)} fetched${formatReused(reusedBytes)}`;
      return [`restored ${target}`, point, ...asked, from, base, bytes].join('\n');
    }
  }
}

/** What an interrupted restore had written. */
export const formatReused = (bytes: number): string =>
  bytes === 0 ? '' : `, ${humanBytes(bytes)} kept of an interrupted restore and read again`;

/** The document of `-json`. */
export function restoreDocument(outcome: RestoreOutcome, now: Micros): Record<string, unknown> {
  const { target, source } = outcome;
  const { outcome: what, ...rest } = reportDocument(outcome, now);
  return { kind: 'database', outcome: what, target, source, ...rest };
}

/** What is told of one database, alone or among others. */
export function reportDocument(report: RestoreReport, now: Micros): Record<string, unknown> {
  const { position, snapshot, plan, durationMs } = report;
  const known = position !== null && isKnownTime(position.time);
  return {
    outcome: report.outcome,
    generation: report.generation,
    databaseIdentity: report.databaseIdentity,
    tx: position?.tx.toString() ?? null,
    time: known ? isoTime(position.time) : null,
    ageSeconds: known ? ageSeconds(position.time, now) : null,
    snapshot: snapshot?.toString() ?? null,
    segments: report.segments,
    plainBytes: report.plainBytes,
    reusedBytes: report.reusedBytes,
    fetchedBytes: report.fetchedBytes,
    durationMs: Math.round(durationMs),
    warnings: report.warnings,
    point: pointDocument(report.point),
    plan: plan && {
      snapshotGeneration: plan.snapshot?.generation ?? null,
      snapshotObjects: plan.snapshot?.objects ?? null,
      snapshotPlainBytes: plan.snapshot?.plainBytes ?? null,
      logObjects: plan.logObjects,
      logBytes: plan.logBytes,
      levels: plan.levels,
      plainBytesMin: plan.plainBytesMin,
      expectedSeconds: Math.round(expectedMs(plan)) / 1000,
      assumedBytesPerSecond: ASSUMED_BYTES_PER_SECOND,
      otherLines: plan.abandoned.map(({ generation, databaseIdentity, last }) => ({
        generation,
        databaseIdentity,
        tx: last.tx.toString(),
        time: isoTime(last.time),
      })),
    },
  };
}
