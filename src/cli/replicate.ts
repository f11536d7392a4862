/** `replicate` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config, DatabaseArgument } from '../config/config.ts';
import { UsageError } from '../core/errors.ts';
import {
  act,
  type CommandFacts,
  checkPositionals,
  configFileOption,
  configFlag,
  helpHint,
  newCommand,
} from './command.ts';
import { type CommandWords, parseExecCommand } from './exec-words.ts';
import { interruptible } from './interrupt.ts';
import { parseDurationFlag } from './parse-flags.ts';
import { isUrl } from './places.ts';
import { reportError } from './report-error.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';

interface Flags {
  readonly config?: string;
  readonly once?: true;
  readonly takeover?: true;
  readonly standby?: true;
  readonly exec?: string;
  readonly restoreIfDbNotExists?: true;
  readonly giveUpAfter: string;
}

/** As many destinations as the configuration takes for one database. */
const URLS_MAX = 16;

const facts: CommandFacts = {
  name: 'replicate',
  summary: 'Back up databases for as long as this runs.',
  usage: '[flags] [DB_DIR URL...]',
  description: `Stores every commit of the configured databases within about a second, and every snapshot that the server takes.
The database's directory is only read. A database that does not exist yet is waited for. SIGTERM stores what is
left and ends; a second signal ends at once.

DB_DIR is a server data directory (it has replicas/ in it), with all of its databases, or the directory of one
database (it has clog/ in it). URL is s3://bucket/prefix or file:///path; there may be several. Without both the
configuration names them.

-exec runs the server as a child of this program: signals are passed on to it; when it has ended, what it wrote last
is stored, and its status is ours (128 and the signal's number where a signal ended it). A status of 0 says that the
server ended well and that all is stored. A backup that is in trouble never stops the server. SpacetimeDB ends cleanly
on SIGINT: have that sent. CMD is split like a shell's words, but no shell runs it. A program that is not there ends
this with 2 before anything is begun.

Exit codes: 0 all is stored, 1 refused credentials, a full disk or any other failure, 2 usage or configuration, 3 some
databases failed, 11 another owner holds the backup,
13 another writer took over, 14 corruption, 75 the store cannot be reached, 130 and 143 stopped before all was stored.`,
  examples: [
    ['stdb-replicate replicate', 'run as a service, with /etc/stdb-replicate.yml'],
    ['stdb-replicate replicate /stdb/data/replicas/1 s3://my-backups/game-0', 'one database, without a file'],
    ['stdb-replicate replicate -once /stdb/data/replicas/1 file:///backup/game-0', 'store what is there now, and end'],
    [
      'stdb-replicate replicate -restore-if-db-not-exists -exec "spacetime start --data-dir /stdb/data"',
      'run a server with its backup',
    ],
  ],
};

function databaseFrom(command: Command, [path = '', ...urls]: readonly string[]): DatabaseArgument {
  if (isUrl(path) && !urls.some(isUrl)) {
    throw new UsageError('DB_DIR comes first, then URL', { hint: helpHint(command) });
  }
  return { path: resolve(path), replicas: urls.map((url) => ({ url })) };
}

export function replicateCommand(session: Session): Command {
  const command = newCommand(session, facts, [
    configFileOption(),
    new Option('--once', 'Store what is there now, and end. A database that does not exist is then an error.'),
    new Option(
      '--give-up-after <DURATION>',
      'With -once: give up after so long without an answer of the store, or room in it; the service never does. Default: 30s.',
    ).default('30s'),
    new Option(
      '--takeover',
      'Take the backup over from another owner: for good, and only if that one is gone for good.',
    ),
    new Option('--standby', 'Wait for as long as another process of the same owner holds the backup, then go on.'),
    new Option('--exec <CMD>', 'Run CMD as the server beside this, and end when it has ended and all is stored.'),
    new Option(
      '--restore-if-db-not-exists',
      'First restore each database whose directory holds none, if it has a backup. A failure ends the program.',
    ),
    configFlag('memory', 'SIZE'),
  ]);
  return act<Flags>(session, command, async (positionals, flags) => {
    const { config: file, once = false } = flags;
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    checkTogether(command, flags);
    const server = flags.exec === undefined ? null : parseExecCommand(flags.exec);
    if (positionals.length !== 0)
      checkPositionals(command, { min: 2, max: 1 + URLS_MAX, what: 'DB_DIR and URL, or neither' });
    if (positionals.length !== 0 && file !== undefined) {
      throw new UsageError('DB_DIR and URL stand for a configuration: give them, or -config', {
        hint: helpHint(command),
      });
    }
    const databases = positionals.length === 0 ? {} : { dbs: [databaseFrom(command, positionals)], fileless: true };
    const { config } = await loadForCommand(session, { config: file, ...databases });
    return run(session, {
      config: flags.takeover ? { ...config, takeover: true } : config,
      once,
      standby: flags.standby ?? false,
      giveUpAfterMs,
      server,
      restoreFirst: flags.restoreIfDbNotExists ?? false,
    });
  });
}

/** What `-once` excludes: it waits for nothing, and its database is there. */
function checkTogether(command: Command, { once, standby, exec, restoreIfDbNotExists }: Flags): void {
  if (!once) return;
  const excluded = { standby, exec, 'restore-if-db-not-exists': restoreIfDbNotExists };
  for (const [name, value] of Object.entries(excluded)) {
    if (value === undefined) continue;
    throw new UsageError(`-once and -${name} exclude each other`, { hint: helpHint(command) });
  }
}

interface RunFacts {
  readonly config: Config;
  readonly once: boolean;
  readonly standby: boolean;
  readonly giveUpAfterMs: number;
  readonly server: CommandWords | null;
  readonly restoreFirst: boolean;
}

async function run(session: Session, { server, restoreFirst: restores, ...facts }: RunFacts): Promise<number> {
  const { io, version } = session;
  if (server !== null) {
    const { requireProgram } = await import('../daemon/require-program.ts');
    await requireProgram(server[0], { env: io.env });
  }
  const log = await openSessionLog(session, facts.config);
  const { ExecSignals } = await import('../daemon/exec-signals.ts');
  // From here on, so that no signal falls between the restore and the server.
  using signals =
    server === null ? null : new ExecSignals({ signals: io.signals, terminal: io.stdin?.isTTY ?? false, log });
  if (restores) {
    const { restoreFirst } = await import('../daemon/restore-first.ts');
    const message = 'the restore was stopped before anything was started: its directory was left as it was';
    const { config, giveUpAfterMs } = facts;
    await interruptible({ signals: signals ?? io.signals, exit: (code) => io.exit(code) }, { message }, (signal) =>
      restoreFirst({ config, giveUpAfterMs, log, signal }),
    );
  }
  const options = { ...facts, exit: (code: number) => io.exit(code), version, env: io.env };
  if (server === null || signals === null) {
    const { runReplicate } = await import('../daemon/replicate-command.ts');
    const failures: unknown[] = [];
    const onFailure = (error: unknown): void => void failures.push(error);
    const code = await runReplicate({ ...options, log, signals: io.signals, onFailure });
    // Somebody who looks on finds what to do where every command says it: at the end.
    if (facts.once && io.stderr.isTTY) for (const error of failures) await reportError(io, error, { stacks: false });
    return code;
  }
  const { runExec } = await import('../daemon/exec-command.ts');
  return await runExec({ command: server, env: io.env, signals, log, replicate: options });
}
