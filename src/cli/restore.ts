/** `restore` */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config } from '../config/config.ts';
import { systemClock } from '../core/clock.ts';
import { EXIT, NoBackupError } from '../core/errors.ts';
import type { RestoreCommandReport } from '../daemon/restore-command.ts';
import type { UnfinishedRestore } from '../restore/unfinished.ts';
import {
  act,
  type CommandFacts,
  checkPositionals,
  configFileOption,
  configFlag,
  helpHint,
  newCommand,
} from './command.ts';
import { interruptible } from './interrupt.ts';
import { type Io, writeJson, writeText } from './io.ts';
import { parallelismFlag } from './parallelism-flag.ts';
import { parseChoice, parseCount, parseDurationFlag } from './parse-flags.ts';
import { isUrl } from './places.ts';
import { ProgressDisplay } from './progress.ts';
import { parseMode, parseOwnerId } from './restore-owner.ts';
import { parseReplicaIdFlag, placeOfDirectory, placeOfUrl, type RestorePlace } from './restore-place.ts';
import { followFor } from './restore-follow.ts';
import { parsePoint } from './restore-point.ts';
import { formatServerRestore, serverRestoreDocument } from './restore-server-summary.ts';
import { formatRestore, restoreDocument } from './restore-summary.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';
import { formatUnfinished } from './unfinished-text.ts';
import { giveUpAfterFlag, progressFlag } from './reading-flags.ts';

interface Flags {
  readonly config?: string;
  readonly o?: string;
  readonly tx?: string;
  readonly timestamp?: string;
  readonly beforeReducer?: string;
  readonly generation?: string;
  readonly replicaId?: string;
  readonly partial?: true;
  readonly uid?: string;
  readonly gid?: string;
  readonly mode?: string;
  readonly ifDbNotExists?: true;
  readonly ifReplicaExists?: true;
  readonly dryRun?: true;
  readonly parallelism: string;
  readonly json?: true;
  readonly progress: string;
  readonly giveUpAfter: string;
  readonly follow?: true;
  readonly interval?: string;
}

const PROGRESS_MODES = ['auto', 'plain', 'json', 'none'] as const;
const PARALLELISM_MAX = 64;

const facts: CommandFacts = {
  name: 'restore',
  summary: 'Restore a database or a whole server, to its newest or another recovery point.',
  usage: '[flags] DB_DIR | URL',
  description: `Restores a database, or a whole server data directory with all of its databases, to the newest recovery point, or the
one that is asked for, and proves every byte of it on the way. The directory appears whole or not at all; a directory that holds anything is never
touched. Stop the server first.

DB_DIR is a path in the configuration, or a replica directory in one: it is restored there, or into -o. With several
destinations all are asked, and the one that reaches furthest is taken; they must agree as far as they all go.
URL is a destination, s3://bucket/prefix or file:///path: it is restored into -o, without a configuration.

A whole server comes back as its newest image (metadata.toml, config.toml, control-db, programs, extra files) whose
databases can all be restored, and each database to its own newest point. A server's signing keys lie outside of its
data directory by default: without the same keys, clients must log in anew.

-timestamp goes by the server's own clock, -tx by transactions, which are never split from their commit; both mean the
same commit whatever objects the store holds. Of a whole server each database ends with its own last commit not later
than TIME, and the files are those of the newest image not later than TIME.

-follow keeps the directory up to date with the backup until SIGTERM or SIGINT, which leave it as one that a server
opens. It goes on with a directory that an earlier -follow, or a restore to the newest point, has left. Servers are kept
out meanwhile by the lock that they take themselves. Where the backup's line leaves the directory behind, it stops (15).

What is written belongs to whom the target belongs, or the directory above it, with the same mode; never writable for
everybody. -uid, -gid and -mode say otherwise. Files of an image keep the modes that they had.

Exit codes: 0 restored, 2 usage or configuration, 10 no backup there, 14 corruption, 15 no such recovery point,
16 the target is not empty or in use, 75 the store cannot be reached.`,
  examples: [
    ['stdb-replicate restore -o /stdb/data/replicas/1 s3://my-backups/game-0', 'from a URL into a new directory'],
    [
      'stdb-replicate restore -if-db-not-exists -if-replica-exists /stdb/data/replicas/1',
      'before a server starts: restore if nothing is there',
    ],
    ['stdb-replicate restore -o /stdb/data s3://my-backups/server-0', 'a whole server data directory'],
    ['stdb-replicate restore -replica-id 3 -o /tmp/three s3://my-backups/server-0', 'one database of a server'],
    [
      'stdb-replicate restore -timestamp "2026-11-21 07:40 +01:00" -o /tmp/then s3://my-backups/game-0',
      'as it was at that time',
    ],
    ['stdb-replicate restore -before-reducer wipe -o /tmp/saved s3://my-backups/game-0', 'just before a mistake'],
    ['stdb-replicate restore -dry-run -o /tmp/try s3://my-backups/game-0', 'what would be restored?'],
  ],
};

const flagOptions = (): Option[] => [
  new Option('-o <DIR>', 'Restore into this directory. It must be absent or empty.'),
  configFileOption(),
  new Option('--tx <N>', 'Restore the state after this transaction. N must be the last one of a commit.'),
  new Option(
    '--timestamp <TIME>',
    'Restore what the server had committed by then: 2026-11-21T07:40:10Z, "2026-11-21 07:40 Europe/Berlin", "5m ago".',
  ),
  new Option(
    '--before-reducer <NAME>',
    'Restore the state just before the newest commit that begins with a call of this reducer.',
  ),
  new Option(
    '--generation <G>',
    'Restore the line that ends with this generation: its name, or its number. Of a whole server: that of its images.',
  ),
  new Option(
    '--replica-id <N>',
    'Restore this database of a server alone: into -o, which becomes its replica directory, or into DB_DIR/replicas/N.',
  ),
  new Option(
    '--partial',
    'Restore a server although databases of it have no recovery point. It will create these empty.',
  ),
  new Option('--uid <N>', 'Owner of what is written. Default: whose the target is, or the directory above it.'),
  new Option('--gid <N>', 'Group of what is written. Default: as for -uid.'),
  new Option('--mode <MODE>', 'Mode of directories, as 0750; files get it without x. Default: as for -uid.'),
  new Option('--if-db-not-exists', 'Do nothing, successfully, when the target already holds a database.'),
  new Option('--if-replica-exists', 'Do nothing, successfully, when there is no backup.'),
  new Option('--dry-run', 'Say what would be restored, and write nothing.'),
  parallelismFlag(),
  configFlag('memory', 'SIZE'),
  giveUpAfterFlag(),
  progressFlag(),
  new Option('--json', 'Print the result as one JSON document on stdout.'),
  new Option('--follow', 'Then keep the directory up to date, as a standby, until a signal ends it.'),
  new Option('--interval <DURATION>', 'With -follow: how often the store is asked what is new. Default: 1s.'),
];

interface Place extends RestorePlace {
  readonly config: Config;
}

async function findPlace(session: Session, command: Command, { config: file, o, ...flags }: Flags): Promise<Place> {
  const given = { source: command.args[0] ?? '', o, replicaId: parseReplicaIdFlag(flags.replicaId) };
  if (isUrl(given.source)) {
    const place = placeOfUrl(given, helpHint(command));
    const { config } = await loadForCommand(session, { config: file, fileless: true });
    return { config, ...place };
  }
  const { config, file: read } = await loadForCommand(session, { config: file });
  return { config, ...placeOfDirectory(config, given, { file: read }) };
}

async function tell(io: Io, report: RestoreCommandReport & { target: string }, json: boolean): Promise<void> {
  const now = systemClock.now();
  if (json) {
    const isServer = report.kind === 'server';
    await writeJson(io.stdout, isServer ? serverRestoreDocument(report, now) : restoreDocument(report, now));
    return;
  }
  const text = report.kind === 'server' ? formatServerRestore(report, now) : formatRestore(report, now);
  // A plan is what was asked for; the end of a restore is news about it.
  await writeText(report.outcome === 'planned' ? io.stdout : io.stderr, `${text}\n`);
}

export function restoreCommand(session: Session): Command {
  const command = newCommand(session, facts, flagOptions());
  return act<Flags>(session, command, async (_positionals, flags) => {
    checkPositionals(command, { min: 1, max: 1, what: 'DB_DIR or URL' });
    const mode = parseChoice('progress', flags.progress, PROGRESS_MODES);
    const parallelism = parseCount('parallelism', flags.parallelism, { min: 1, max: PARALLELISM_MAX });
    const point = parsePoint(flags, { now: systemClock.now() });
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const ownership = {
      uid: parseOwnerId('uid', flags.uid),
      gid: parseOwnerId('gid', flags.gid),
      mode: parseMode(flags.mode),
    };
    const { config, urls, target, replicaId } = await findPlace(session, command, flags);
    const { io } = session;
    if (flags.follow || flags.interval !== undefined) {
      const facts = { urls, target, replicaId, ownership, parallelism, giveUpAfterMs, mode };
      return await followFor(session, { ...facts, config, hint: helpHint(command), flags });
    }
    const { runRestore } = await import('../daemon/restore-command.ts');
    using display = new ProgressDisplay({ mode, stream: io.stderr, monotonic: () => systemClock.monotonic() });
    const log = await openSessionLog(session, config, display.stream);
    let left: UnfinishedRestore | null = null;
    try {
      const message = `the restore was stopped: ${target} was left as it was`;
      const report = await interruptible(io, { message }, (signal) =>
        runRestore({
          urls,
          target,
          replicaId,
          partial: flags.partial ?? false,
          ownership,
          dryRun: flags.dryRun ?? false,
          ifDatabaseAbsent: flags.ifDbNotExists ?? false,
          generation: flags.generation,
          point,
          parallelism,
          memoryBytes: config.memoryBytes,
          requestTimeoutMs: config.requestTimeoutMs,
          giveUpAfterMs,
          log,
          progress: (progress) => display.show(progress),
          onUnfinished: (kept) => (left = kept),
          signal,
        }),
      );
      display.clear();
      await tell(io, { ...report, target }, flags.json ?? false);
      return EXIT.ok;
    } catch (error) {
      display.clear();
      if (left !== null) await writeText(io.stderr, formatUnfinished(left));
      if (!(flags.ifReplicaExists && error instanceof NoBackupError)) throw error;
      if (flags.json) await writeJson(io.stdout, { outcome: 'no-backup', target });
      else await writeText(io.stderr, `${error.message}: nothing was restored\n`);
      return EXIT.ok;
    }
  });
}
