/** `restore` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config } from '../config/config.ts';
import { systemClock } from '../core/clock.ts';
import { EXIT, NoBackupError, UsageError } from '../core/errors.ts';
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
import { parseChoice, parseCount, parseDurationFlag } from './parse-flags.ts';
import { isUrl, requireDatabase } from './places.ts';
import { ProgressDisplay } from './progress.ts';
import { formatRestore, type RestoreOutcome, restoreDocument } from './restore-summary.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';

interface Flags {
  readonly config?: string;
  readonly o?: string;
  readonly generation?: string;
  readonly ifDbNotExists?: true;
  readonly ifReplicaExists?: true;
  readonly dryRun?: true;
  readonly parallelism: string;
  readonly json?: true;
  readonly progress: string;
  readonly giveUpAfter: string;
}

const PROGRESS_MODES = ['auto', 'plain', 'json', 'none'] as const;
const PARALLELISM_MAX = 64;

const facts: CommandFacts = {
  name: 'restore',
  summary: 'Restore the newest recovery point of a database.',
  usage: '[flags] DB_DIR | URL',
  description: `Restores a database to its newest recovery point and proves every byte of it on the way. The directory appears
whole or not at all; a directory that holds anything is never touched. Stop the server of that database first.

DB_DIR is a database's path in the configuration: it is restored there, or into -o.
URL is a destination, s3://bucket/prefix or file:///path: it is restored into -o, without a configuration.

Exit codes: 0 restored, 2 usage or configuration, 10 no backup there, 14 corruption, 15 no such recovery point,
16 the target is not empty or in use, 75 the store cannot be reached.`,
  examples: [
    ['stdb-replicate restore -o /stdb/data/replicas/1 s3://my-backups/game-0', 'from a URL into a new directory'],
    [
      'stdb-replicate restore -if-db-not-exists -if-replica-exists /stdb/data/replicas/1',
      'before a server starts: restore if nothing is there',
    ],
    ['stdb-replicate restore -dry-run -o /tmp/try s3://my-backups/game-0', 'what would be restored?'],
  ],
};

const flagOptions = (): Option[] => [
  new Option('-o <DIR>', 'Restore into this directory. It must be absent or empty.'),
  configFileOption(),
  new Option('--generation <G>', 'Restore the line that ends with this generation: its name, or its number.'),
  new Option('--if-db-not-exists', 'Do nothing, successfully, when the target already holds a database.'),
  new Option('--if-replica-exists', 'Do nothing, successfully, when there is no backup.'),
  new Option('--dry-run', 'Say what would be restored, and write nothing.'),
  new Option('--parallelism <N>', 'Requests to the store at once. Default: 8.').default('8'),
  configFlag('memory', 'SIZE'),
  new Option(
    '--give-up-after <DURATION>',
    'Give up after so long without an answer of the store. Default: 30s.',
  ).default('30s'),
  new Option(
    '--progress <auto|plain|json|none>',
    'Progress on stderr; auto is a bar on a terminal, a line now and then elsewhere.',
  ).default('auto'),
  new Option('--json', 'Print the result as one JSON document on stdout.'),
];

interface Place {
  readonly config: Config;
  readonly url: string;
  readonly target: string;
}

async function findPlace(session: Session, command: Command, { config: file, o }: Flags): Promise<Place> {
  const source = command.args[0] ?? '';
  if (isUrl(source)) {
    if (o === undefined) {
      throw new UsageError('a URL says where from, and -o DIR where to: -o is missing', { hint: helpHint(command) });
    }
    const { config } = await loadForCommand(session, { config: file, fileless: true });
    return { config, url: source, target: resolve(o) };
  }
  const { findReplicaDirectories } = await import('../daemon/replica-directories.ts');
  const inside = await findReplicaDirectories(resolve(source));
  if (inside !== null) {
    throw new UsageError(`${resolve(source)} is a whole server data directory, not one database`, {
      hint:
        inside.length === 0
          ? 'Name the directory of one database: …/replicas/ID.'
          : `Name one of: ${inside.join(', ')}.`,
    });
  }
  const { config, file: read } = await loadForCommand(session, { config: file });
  const database = requireDatabase(config, source, read);
  return { config, url: database.replicas[0]?.url ?? '', target: o === undefined ? database.path : resolve(o) };
}

async function tell(io: Io, outcome: RestoreOutcome, json: boolean): Promise<void> {
  const now = systemClock.now();
  if (json) await writeJson(io.stdout, restoreDocument(outcome, now));
  // A plan is what was asked for; the end of a restore is news about it.
  else await writeText(outcome.outcome === 'planned' ? io.stdout : io.stderr, `${formatRestore(outcome, now)}\n`);
}

export function restoreCommand(session: Session): Command {
  const command = newCommand(session, facts, flagOptions());
  return act<Flags>(session, command, async (_positionals, flags) => {
    checkPositionals(command, { min: 1, max: 1, what: 'DB_DIR or URL' });
    const mode = parseChoice('progress', flags.progress, PROGRESS_MODES);
    const parallelism = parseCount('parallelism', flags.parallelism, { min: 1, max: PARALLELISM_MAX });
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const { config, url, target } = await findPlace(session, command, flags);
    const { io } = session;
    const { runRestore } = await import('../daemon/restore-command.ts');
    using display = new ProgressDisplay({ mode, stream: io.stderr, monotonic: () => systemClock.monotonic() });
    const log = await openSessionLog(session, config, display.stream);
    try {
      const message = `the restore was stopped: ${target} was left as it was`;
      const report = await interruptible(io, { message }, (signal) =>
        runRestore({
          url,
          target,
          dryRun: flags.dryRun ?? false,
          ifDatabaseAbsent: flags.ifDbNotExists ?? false,
          generation: flags.generation,
          parallelism,
          memoryBytes: config.memoryBytes,
          requestTimeoutMs: config.requestTimeoutMs,
          giveUpAfterMs,
          log,
          progress: (progress) => display.show(progress),
          signal,
        }),
      );
      display.clear();
      await tell(io, { ...report, target }, flags.json ?? false);
      return EXIT.ok;
    } catch (error) {
      display.clear();
      if (!(flags.ifReplicaExists && error instanceof NoBackupError)) throw error;
      if (flags.json) await writeJson(io.stdout, { outcome: 'no-backup', target });
      else await writeText(io.stderr, `${error.message}: nothing was restored\n`);
      return EXIT.ok;
    }
  });
}
