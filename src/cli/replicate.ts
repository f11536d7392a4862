/** `replicate` */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { DatabaseArgument } from '../config/config.ts';
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
import { parseDurationFlag } from './parse-flags.ts';
import { isUrl } from './places.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';

interface Flags {
  readonly config?: string;
  readonly once?: true;
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

Exit codes: 0 all is stored, 2 usage or configuration, 3 some databases failed, 11 another owner holds the backup,
13 another writer took over, 14 corruption, 75 the store cannot be reached, 130 and 143 stopped before all was stored.`,
  examples: [
    ['stdb-replicate replicate', 'run as a service, with /etc/stdb-replicate.yml'],
    ['stdb-replicate replicate /stdb/data/replicas/1 s3://my-backups/game-0', 'one database, without a file'],
    ['stdb-replicate replicate -once /stdb/data/replicas/1 file:///backup/game-0', 'store what is there now, and end'],
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
      'With -once: give up after so long without an answer of the store; the service never does. Default: 30s.',
    ).default('30s'),
    configFlag('memory', 'SIZE'),
  ]);
  return act<Flags>(session, command, async (positionals, { config: file, once = false, giveUpAfter }) => {
    const giveUpAfterMs = parseDurationFlag('give-up-after', giveUpAfter);
    if (positionals.length !== 0)
      checkPositionals(command, { min: 2, max: 1 + URLS_MAX, what: 'DB_DIR and URL, or neither' });
    if (positionals.length !== 0 && file !== undefined) {
      throw new UsageError('DB_DIR and URL stand for a configuration: give them, or -config', {
        hint: helpHint(command),
      });
    }
    const databases = positionals.length === 0 ? {} : { dbs: [databaseFrom(command, positionals)], fileless: true };
    const { config } = await loadForCommand(session, { config: file, ...databases });
    const { io, version } = session;
    const { runReplicate } = await import('../daemon/replicate-command.ts');
    const log = await openSessionLog(session, config);
    return runReplicate({
      config,
      once,
      giveUpAfterMs,
      log,
      signals: io.signals,
      exit: (code) => io.exit(code),
      version,
    });
  });
}
