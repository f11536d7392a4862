/** `drill` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { systemClock } from '../core/clock.ts';
import { EXIT } from '../core/errors.ts';
import type { Micros } from '../core/types.ts';
import type { DrillReport } from '../daemon/drill-run.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, configFlag, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { writeJson, writeText } from './io.ts';
import { parallelismFlag } from './parallelism-flag.ts';
import { parseChoice, parseCount, parseDurationFlag } from './parse-flags.ts';
import { ProgressDisplay } from './progress.ts';
import { parseReplicaIdFlag } from './restore-place.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';
import { findSource } from './source-place.ts';
import { ageSeconds, humanAge, humanBytes, humanDuration, humanTime, isoTime } from './units.ts';
import { giveUpAfterFlag, progressFlag } from './reading-flags.ts';

interface Flags {
  readonly config?: string;
  readonly random?: true;
  readonly seed?: string;
  readonly scratch?: string;
  readonly exec?: string;
  readonly execTimeout: string;
  readonly replicaId?: string;
  readonly parallelism: string;
  readonly json?: true;
  readonly progress: string;
  readonly giveUpAfter: string;
}

const PARALLELISM_MAX = 64;
const SEED_MAX = 999_999_999;
const PROGRESS_MODES = ['auto', 'plain', 'json', 'none'] as const;

const facts: CommandFacts = {
  name: 'drill',
  summary: 'Prove that a backup can be restored: restore it, check it, measure it, remove it.',
  usage: '[flags] DB_DIR | URL',
  description: `Restores the newest recovery point into a new directory below -scratch, reads back and checks every byte of it there,
and removes it again, also after a signal or a failure. -random takes a recovery point by chance instead, of a whole server a moment since its first image.

-exec starts a command on what was restored, by \`sh -c\`, with the directory in STDB_DRILL_DIR and the transaction in
STDB_DRILL_TX: a real server and a query, for instance. Its output goes to stderr; another status than 0 fails the drill.

Exit codes: 0 proven, 1 the command failed or there is no space, otherwise as restore.`,
  examples: [
    ['stdb-replicate drill s3://my-backups/game-0', 'can the newest point be restored, and how fast?'],
    ['stdb-replicate drill -random -scratch /mnt/scratch /stdb/data/replicas/1', 'another point each time'],
    [`stdb-replicate drill -exec 'test -d "$STDB_DRILL_DIR/clog"' s3://my-backups/game-0`, 'with a check of your own'],
  ],
};

const flagOptions = (): Option[] => [
  configFileOption(),
  new Option('--random', 'A recovery point, or of a server a moment, by chance, in place of the newest.'),
  new Option('--seed <N>', 'With -random: the same point of the same backup. Default: another one each time.'),
  new Option('--scratch <DIR>', 'Where the directory is made. Default: the system directory for temporary files.'),
  new Option('--exec <CMD>', 'Run this command on what was restored.'),
  new Option('--exec-timeout <DURATION>', 'How long it may take. Default: 10m.').default('10m'),
  new Option('--replica-id <N>', 'Of a server, this database alone.'),
  parallelismFlag(),
  configFlag('memory', 'SIZE'),
  giveUpAfterFlag(),
  progressFlag(),
  new Option('--json', 'Print the result as one JSON document on stdout.'),
];

const rateOf = ({ plainBytes, restoreMs }: DrillReport): number => (plainBytes * 1000) / Math.max(1, restoreMs);

function formatDrill(report: DrillReport, now: Micros): string {
  const { source, databases, plainBytes, restoreMs, checkMs, execMs, fetchedBytes, imageTime, moment } = report;
  const points = databases.map(({ replicaId, position: { tx, time } }) => {
    const when = time === 0n ? 'without a time' : `of ${humanTime(time)}, ${humanAge(ageSeconds(time, now))}`;
    return replicaId === null
      ? `  transaction  ${tx} ${when}`
      : `  ${`replica ${replicaId}`.padEnd(11)}  transaction ${tx} ${when}`;
  });
  return [
    `proven: ${source} can be restored`,
    ...(imageTime === null ? [] : [`  image        of ${humanTime(imageTime)}`]),
    ...(moment === null ? [] : [`  as of        ${humanTime(moment)}, by chance`]),
    ...points,
    `  restored     ${humanBytes(plainBytes)} in ${humanDuration(restoreMs)} (${humanBytes(rateOf(report))}/s); ${humanBytes(fetchedBytes)} fetched`,
    `  read back    in ${humanDuration(checkMs)}`,
    ...(execMs === 0 ? [] : [`  command      ended with status 0 after ${humanDuration(execMs)}`]),
    ...report.warnings.map((warning) => `  warning      ${warning}`),
  ].join('\n');
}

function drillDocument(report: DrillReport, now: Micros): Record<string, unknown> {
  return {
    outcome: 'proven',
    kind: report.kind,
    source: report.source,
    imageTime: report.imageTime === null ? null : isoTime(report.imageTime),
    moment: report.moment === null ? null : isoTime(report.moment),
    databases: report.databases.map(({ replicaId, position: { tx, time } }) => ({
      replicaId: replicaId?.toString() ?? null,
      tx: tx.toString(),
      time: time === 0n ? null : isoTime(time),
      ageSeconds: time === 0n ? null : ageSeconds(time, now),
    })),
    plainBytes: report.plainBytes,
    fetchedBytes: report.fetchedBytes,
    restoreMs: Math.round(report.restoreMs),
    checkMs: Math.round(report.checkMs),
    execMs: Math.round(report.execMs),
    bytesPerSecond: Math.round(rateOf(report)),
    warnings: report.warnings,
  };
}

export function drillCommand(session: Session): Command {
  const command = newCommand(session, facts, flagOptions());
  return act<Flags>(session, command, async (_positionals, flags) => {
    checkPositionals(command, { min: 1, max: 1, what: 'DB_DIR or URL' });
    const mode = parseChoice('progress', flags.progress, PROGRESS_MODES);
    const parallelism = parseCount('parallelism', flags.parallelism, { min: 1, max: PARALLELISM_MAX });
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const timeoutMs = parseDurationFlag('exec-timeout', flags.execTimeout);
    const given = { source: command.args[0] ?? '', replicaId: parseReplicaIdFlag(flags.replicaId) };
    const seed = flags.seed === undefined ? null : parseCount('seed', flags.seed, { min: 0, max: SEED_MAX });
    const { config, urls, replicaId } = await findSource(given, (fileless) =>
      loadForCommand(session, { config: flags.config, fileless }),
    );
    const { io } = session;
    const { runDrillFrom } = await import('../daemon/drill-command.ts');
    using display = new ProgressDisplay({ mode, stream: io.stderr, monotonic: () => systemClock.monotonic() });
    const log = await openSessionLog(session, config, display.stream);
    const { memoryBytes, requestTimeoutMs } = config;
    const report = await interruptible(
      io,
      { message: 'the drill was stopped: what it had restored is removed' },
      (signal) =>
        runDrillFrom({
          urls,
          replicaId,
          scratch: flags.scratch === undefined ? null : resolve(flags.scratch),
          seed: flags.random || seed !== null ? (seed ?? Math.floor(Math.random() * SEED_MAX)) : null,
          exec: flags.exec === undefined ? null : { command: flags.exec, timeoutMs },
          env: io.env,
          parallelism,
          memoryBytes,
          requestTimeoutMs,
          giveUpAfterMs,
          log,
          progress: (progress) => display.show(progress),
          signal,
        }),
    );
    display.clear();
    const now = systemClock.now();
    if (flags.json) await writeJson(io.stdout, drillDocument(report, now));
    else await writeText(io.stdout, `${formatDrill(report, now)}\n`);
    return EXIT.ok;
  });
}
