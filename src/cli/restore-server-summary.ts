/** What a restore of a whole server data directory says at its end. */
import type { Micros } from '../core/types.ts';
import type { ReplicaReport, ServerRestoreReport } from '../restore/server/server-report.ts';
import { formatPointLines } from './restore-point.ts';
import { formatBase, formatReused, formatPoint, reportDocument } from './restore-summary.ts';
import { ageSeconds, counted, humanAge, humanBytes, humanDuration, humanTime, isoTime } from './units.ts';

export interface ServerRestoreOutcome extends ServerRestoreReport {
  /** The destination without secrets. */
  readonly source: string;
  /** Absolute. */
  readonly target: string;
}

const KEYS =
  "  keys         a server's signing keys lie outside of its data directory, unless\n" +
  '               it was told otherwise (~/.config/spacetime/id_ecdsa, id_ecdsa.pub):\n' +
  '               put the same ones in place, or clients must log in anew';

function formatImage({ image }: ServerRestoreOutcome, now: Micros): string {
  if (image === null) return '  image        unknown';
  const { time, files, programs } = image;
  const what = `${counted(files, 'file')}, ${counted(programs, 'program')}`;
  return `  image        of ${humanTime(time)}, ${humanAge(ageSeconds(time, now))}; ${what}`;
}

const formatReplica = (replica: ReplicaReport, now: Micros): string =>
  `  replica ${replica.replicaId.toString().padEnd(4)} transaction ${[
    formatPoint(replica, now),
    ...formatPointLines(replica.point)
      .slice(1)
      .map((line) => line.trim()),
    formatBase(replica),
  ].join(`\n${' '.repeat(15)}`)}`;

/** Lines for people, without a newline at the end. */
export function formatServerRestore(outcome: ServerRestoreOutcome, now: Micros): string {
  const { target, source, image, replicas, missing, plainBytes, fetchedBytes, durationMs } = outcome;
  if (outcome.outcome === 'exists') return `${target} already holds a database: nothing was restored`;
  const extra = image?.extraFiles ?? [];
  const lines = [
    `${outcome.outcome === 'planned' ? 'would restore' : 'restored'} ${target}, a whole server data directory`,
    `  from         ${source}, images of generation ${image?.generation ?? 'unknown'}`,
    // All databases were asked for the same.
    ...formatPointLines(replicas[0]?.point ?? null).slice(0, 1),
    formatImage(outcome, now),
    ...replicas.map((replica) => formatReplica(replica, now)),
    ...missing.map(({ replicaId, reason }) => `  replica ${replicaId.toString().padEnd(4)} NOT RESTORED: ${reason}`),
    ...(extra.length > 0
      ? [`  extra        ${extra.join(', ')}: in ${target}/extra, to be put where they belong`]
      : []),
  ];
  if (outcome.outcome === 'restored') {
    const reusedBytes = replicas.reduce((sum, replica) => sum + replica.reusedBytes, 0);
    lines.push(
      `  written      ${humanBytes(plainBytes)}, verified, in ${humanDuration(durationMs)}; ${humanBytes(fetchedBytes)} fetched${formatReused(reusedBytes)}`,
    );
  }
  return [...lines, KEYS].join('\n');
}

/** The document of `-json`. */
export function serverRestoreDocument(outcome: ServerRestoreOutcome, now: Micros): Record<string, unknown> {
  const { image, replicas, missing, passedOver } = outcome;
  return {
    kind: 'server',
    outcome: outcome.outcome,
    target: outcome.target,
    source: outcome.source,
    image: image && {
      generation: image.generation,
      name: image.name,
      time: isoTime(image.time),
      ageSeconds: ageSeconds(image.time, now),
      files: image.files,
      programs: image.programs,
      extraFiles: image.extraFiles,
    },
    replicas: replicas.map((replica) => ({
      replicaId: replica.replicaId.toString(),
      ...reportDocument(replica, now),
    })),
    missing: missing.map(({ replicaId, reason }) => ({ replicaId: replicaId.toString(), reason })),
    passedOver: passedOver.map(({ name, time, missing: ids }) => ({
      name,
      time: isoTime(time),
      missing: ids.map(String),
    })),
    plainBytes: outcome.plainBytes,
    fetchedBytes: outcome.fetchedBytes,
    durationMs: Math.round(outcome.durationMs),
    warnings: outcome.warnings,
  };
}
