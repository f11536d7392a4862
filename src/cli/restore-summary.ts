/** What a restore says at its end. */
import type { Micros } from '../core/types.ts';
import type { RestoreReport } from '../restore/restore.ts';
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

/** Lines for people, without a newline at the end. */
export function formatRestore(outcome: RestoreOutcome, now: Micros): string {
  const { source, target, generation, plainBytes, fetchedBytes, durationMs, plan } = outcome;
  const point = `  transaction  ${formatPoint(outcome, now)}`;
  const from = `  from         ${source}, generation ${generation ?? 'unknown'}`;
  const base = `  made of      ${formatBase(outcome)}`;
  switch (outcome.outcome) {
    case 'exists':
      return `${target} already holds a database: nothing was restored`;
    case 'planned': {
      const bytes = (plan?.logBytes ?? 0) + (plan?.snapshot?.plainBytes ?? 0);
      const size = `  size         about ${humanBytes(bytes)} to fetch and check`;
      return [`would restore ${target}`, point, from, base, size].join('\n');
    }
    case 'restored': {
      const bytes = `  written      ${humanBytes(plainBytes)}, verified, in ${humanDuration(durationMs)}${rate(plainBytes, durationMs)}; ${humanBytes(fetchedBytes)} fetched`;
      return [`restored ${target}`, point, from, base, bytes].join('\n');
    }
  }
}

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
    fetchedBytes: report.fetchedBytes,
    durationMs: Math.round(durationMs),
    warnings: report.warnings,
    plan: plan && {
      snapshotObjects: plan.snapshot?.objects ?? null,
      snapshotPlainBytes: plan.snapshot?.plainBytes ?? null,
      logObjects: plan.logObjects,
      logBytes: plan.logBytes,
      otherLines: plan.abandoned.map(({ generation, databaseIdentity, last }) => ({
        generation,
        databaseIdentity,
        tx: last.tx.toString(),
        time: isoTime(last.time),
      })),
    },
  };
}
