/** `databases` */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { systemClock } from '../core/clock.ts';
import { errorMessage, ReplicateError } from '../core/errors.ts';
import type { Micros } from '../core/types.ts';
import type {
  DatabaseDescription,
  Description,
  ImagesDescription,
  LocalDescription,
  ServerDescription,
  StoredDescription,
} from '../daemon/describe-databases.ts';
import { combineExitCodes, exitCodeOfError } from '../daemon/exit-code.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { writeJson, writeText } from './io.ts';
import { parseDurationFlag } from './parse-flags.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';
import { ageSeconds, counted, humanAge, humanBytes, humanTime, isoTime } from './units.ts';

interface Flags {
  readonly config?: string;
  readonly json?: true;
  readonly giveUpAfter: string;
}

const facts: CommandFacts = {
  name: 'databases',
  summary: 'Show each configured database and how far it is stored at each of its destinations.',
  usage: '[flags]',
  description: `Reads each configured database's directory, asks its destinations, and prints both: the log that is there, the last
stored transaction, how far behind it is, and the newest stored snapshot. Of a server data directory each database is
shown, also one whose directory is gone, and the newest image of the server's own files. Writes nothing.

Exit codes: 0 all could be asked, 3 some could not; where none could, that of the failure (75: store unreachable).`,
  examples: [['stdb-replicate databases -config replicate.yml', 'is everything stored?']],
};

const KINDS: Readonly<Record<LocalDescription['kind'], string>> = {
  replica: 'one database',
  server: 'a whole server data directory',
  absent: 'not there',
  empty: 'an empty directory',
  other: 'not a SpacetimeDB directory',
};

/** Stored transactions that the local log is ahead by; null where one of the two is not known. */
export function lagOf({ local, stored }: DatabaseDescription): bigint | null {
  if (local instanceof Error || stored instanceof Error || local.last === null) return null;
  // Nothing stored: all that the log holds is behind.
  const behind = stored.position ? local.last - stored.position.tx : local.last - (local.first ?? 0n) + 1n;
  return behind < 0n ? 0n : behind;
}

function errorLines(error: Error): string {
  const hint = error instanceof ReplicateError && error.hint !== undefined ? ` (${error.hint})` : '';
  return `error: ${errorMessage(error)}${hint}`;
}

function localText(local: LocalDescription | Error): string {
  if (local instanceof Error) return errorLines(local);
  if (local.last === null) return local.kind === 'replica' ? 'no commit yet' : KINDS[local.kind];
  return `transactions ${local.first} to ${local.last} in ${counted(local.segments, 'segment')}, ${humanBytes(local.bytes)}`;
}

function storedText(stored: StoredDescription | Error, now: Micros): string {
  if (stored instanceof Error) return errorLines(stored);
  if (stored.generation === null) return 'nothing yet';
  if (stored.position === null) return `nothing yet in generation ${stored.generation}`;
  const { tx, time } = stored.position;
  const when = time === null || time === 0n ? '' : ` of ${humanTime(time)} (${humanAge(ageSeconds(time, now))})`;
  return `up to transaction ${tx}${when}`;
}

function lagText(description: DatabaseDescription): string {
  const { local, stored } = description;
  const lag = lagOf(description);
  if (lag === null) return 'unknown';
  if (
    !(local instanceof Error || stored instanceof Error) &&
    stored.position &&
    local.last !== null &&
    stored.position.tx > local.last
  ) {
    return `none; the store is ahead by ${stored.position.tx - local.last} transactions`;
  }
  return lag === 0n ? 'none' : `${lag} transactions`;
}

const writerText = ({ owner, host, released }: StoredDescription | ImagesDescription): string =>
  owner === null ? 'nobody yet' : `${owner} on ${host}${released ? ' (released)' : ''}`;

export function formatDatabase(description: DatabaseDescription, now: Micros): string {
  const { path, destination, local, stored } = description;
  const lines = [
    path,
    `  destination  ${destination}`,
    `  local        ${localText(local)}`,
    `  stored       ${storedText(stored, now)}`,
    `  lag          ${lagText(description)}`,
  ];
  if (!(stored instanceof Error) && stored.generation !== null) {
    lines.push(`  snapshot     ${stored.newestSnapshot ?? 'none stored'}`);
    lines.push(`  generation   ${stored.generation}, written by ${writerText(stored)}`);
  }
  return lines.join('\n');
}

function imageText(images: ImagesDescription | Error, now: Micros): string {
  if (images instanceof Error) return errorLines(images);
  const { newest, generation } = images;
  if (newest !== null) return `of ${humanTime(newest)} (${humanAge(ageSeconds(newest, now))})`;
  return generation === null ? 'none yet' : `none yet in generation ${generation}`;
}

function serverDatabasesText(local: LocalDescription | Error): string {
  if (local instanceof Error) return errorLines(local);
  if (local.kind !== 'server') return KINDS[local.kind];
  return local.replicas.length === 0
    ? 'no database yet'
    : `databases ${local.replicas.map((path) => basename(path)).join(', ')}`;
}

export function formatServer({ path, destination, local, images }: ServerDescription, now: Micros): string {
  const lines = [
    path,
    `  destination  ${destination}`,
    `  local        ${serverDatabasesText(local)}`,
    `  image        ${imageText(images, now)}`,
  ];
  if (!(images instanceof Error) && images.generation !== null) {
    lines.push(`  generation   ${images.generation}, written by ${writerText(images)}`);
  }
  return lines.join('\n');
}

export const formatDescription = ({ databases, servers }: Description, now: Micros): string =>
  [...servers.map((each) => formatServer(each, now)), ...databases.map((each) => formatDatabase(each, now))].join(
    '\n\n',
  );

const errorDocument = (error: Error): Record<string, unknown> => ({
  error: error instanceof ReplicateError ? error.code : error.name,
  message: error.message,
});

/** One element of `databases` in the document of `-json`. */
export function databaseDocument(description: DatabaseDescription): Record<string, unknown> {
  const { path, destination, local, stored } = description;
  const position = stored instanceof Error ? null : stored.position;
  return {
    path,
    destination,
    lagTransactions: lagOf(description)?.toString() ?? null,
    local:
      local instanceof Error
        ? errorDocument(local)
        : { ...local, first: local.first?.toString() ?? null, last: local.last?.toString() ?? null },
    stored:
      stored instanceof Error
        ? errorDocument(stored)
        : {
            ...stored,
            position: position && {
              tx: position.tx.toString(),
              time: position.time === null ? null : isoTime(position.time),
            },
            newestSnapshot: stored.newestSnapshot?.toString() ?? null,
          },
  };
}

/** One element of `servers` in the document of `-json`. */
export function serverDocument({ path, destination, local, images }: ServerDescription): Record<string, unknown> {
  return {
    path,
    destination,
    local: local instanceof Error ? errorDocument(local) : { kind: local.kind, replicas: local.replicas },
    images:
      images instanceof Error
        ? errorDocument(images)
        : { ...images, newest: images.newest === null ? null : isoTime(images.newest) },
  };
}

export const descriptionDocument = ({ databases, servers }: Description): Record<string, unknown> => ({
  databases: databases.map(databaseDocument),
  servers: servers.map(serverDocument),
});

/** The worst that happened to one of them: that of its directory, else of its destination. */
function exitCodeOf(parts: readonly (object | Error)[]): ReturnType<typeof exitCodeOfError> {
  const error = parts.find((part) => part instanceof Error);
  return error === undefined ? 0 : exitCodeOfError(error);
}

export function databasesCommand(session: Session): Command {
  const command = newCommand(session, facts, [
    configFileOption(),
    new Option(
      '--give-up-after <DURATION>',
      'Give up after so long without an answer of a store. Default: 30s.',
    ).default('30s'),
    new Option('--json', 'Print one JSON document.'),
  ]);
  return act<Flags>(session, command, async (_positionals, flags) => {
    checkPositionals(command, { min: 0, max: 0, what: 'no arguments' });
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const { config } = await loadForCommand(session, flags);
    const { io } = session;
    const { describeDatabases } = await import('../daemon/describe-databases.ts');
    const log = await openSessionLog(session, config);
    const described = await interruptible(io, { message: 'stopped before all was asked' }, (signal) =>
      describeDatabases(config, { giveUpAfterMs, log, signal }),
    );
    const now = systemClock.now();
    if (flags.json) await writeJson(io.stdout, descriptionDocument(described));
    else await writeText(io.stdout, `${formatDescription(described, now)}\n`);
    return combineExitCodes([
      ...described.databases.map(({ local, stored }) => exitCodeOf([local, stored])),
      ...described.servers.map(({ local, images }) => exitCodeOf([local, images])),
    ]);
  });
}
