/** `lease show | release` */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config } from '../config/config.ts';
import { systemClock } from '../core/clock.ts';
import { combineExitCodes, exitCodeOfError } from '../daemon/exit-code.ts';
import type { Destined, LeaseCommandOptions } from '../daemon/lease-command.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { writeJson, writeText } from './io.ts';
import {
  errorDocument,
  errorText,
  formatLease,
  formatRelease,
  leaseDocument,
  placeOf,
  releaseDocument,
} from './lease-text.ts';
import { parseDurationFlag } from './parse-flags.ts';
import { isUrl, requireDatabase } from './places.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';

interface Flags {
  readonly config?: string;
  readonly json?: true;
  readonly giveUpAfter: string;
}

const WHERE = `DB_DIR is a database's path in the configuration: all its destinations are asked. URL is one destination, without a
configuration.`;

const showFacts: CommandFacts = {
  name: 'show',
  summary: 'Show who may write to a backup, and whether that process runs.',
  usage: '[flags] DB_DIR | URL',
  description: `Reads the lease of each database in a destination: owner, process, since when, when it was last renewed, the
generation that it writes, and whether its process can be seen from here. Writes nothing. A holder with nothing to store
does not renew.

${WHERE}

Exit codes: 0 shown, 2 usage or configuration, 3 some destinations could not be asked, 10 no backup there,
75 the store cannot be reached.`,
  examples: [
    ['stdb-replicate lease show s3://my-backups/game-0', 'who writes there?'],
    ['stdb-replicate lease show -json /stdb/data/replicas/1', 'for a program'],
  ],
};

const releaseFacts: CommandFacts = {
  name: 'release',
  summary: 'Hand over for a process that is gone, so that the next start need not wait.',
  usage: '[flags] DB_DIR | URL',
  description: `Releases a lease whose process is proven dead, or which does not change for its whole ttl while this command watches
it. It is refused where that process lives, or renews. What the dead process may still have sent is left out: the
next start of the same owner goes on in a new generation, behind the last stored transaction.
Not needed for a restart on the same machine. To give a backup to another owner use \`replicate -takeover\`.

${WHERE}

Exit codes: 0 released, or nobody held it, 2 usage or configuration, 3 not all could be released, 10 no backup there,
11 its holder lives, 75 the store cannot be reached.`,
  examples: [['stdb-replicate lease release s3://my-backups/game-0', 'after the machine that wrote there was lost']],
};

const flagOptions = (): Option[] => [
  configFileOption(),
  new Option('--give-up-after <DURATION>', 'Give up after so long without an answer of a store. Default: 30s.').default(
    '30s',
  ),
  new Option('--json', 'Print one JSON document.'),
];

async function findUrls(
  session: Session,
  place: string,
  { config: file }: Flags,
): Promise<{ config: Config; urls: readonly string[] }> {
  if (isUrl(place)) {
    const { config } = await loadForCommand(session, { config: file, fileless: true });
    return { config, urls: [place] };
  }
  const { config, file: read } = await loadForCommand(session, { config: file });
  return { config, urls: requireDatabase(config, place, read).replicas.map(({ url }) => url) };
}

interface Work<T> {
  readonly ask: (urls: readonly string[], options: LeaseCommandOptions) => Promise<readonly Destined<readonly T[]>[]>;
  readonly stopped: string;
  readonly format: (place: string, part: T) => string;
  readonly document: (part: T) => Record<string, unknown>;
  readonly failureOf: (part: T) => Error | null;
  readonly prefixOf: (part: T) => string;
}

function leaseAction<T>(session: Session, facts: CommandFacts, makeWork: () => Promise<Work<T>>): Command {
  const command = newCommand(session, facts, flagOptions());
  return act<Flags>(session, command, async ([place = ''], flags) => {
    checkPositionals(command, { min: 1, max: 1, what: 'DB_DIR or URL' });
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const { config, urls } = await findUrls(session, place, flags);
    const { io } = session;
    const log = await openSessionLog(session, config);
    const work = await makeWork();
    const { requestTimeoutMs } = config;
    const found = await interruptible(io, { message: work.stopped }, (signal) =>
      work.ask(urls, { requestTimeoutMs, giveUpAfterMs, log, signal }),
    );
    const failures = found.flatMap(({ result }) => (result instanceof Error ? [result] : result.map(work.failureOf)));
    const [only = null] = failures;
    // Where there is one lease alone and it failed, that is all there is to say.
    if (failures.length === 1 && only !== null && !flags.json) throw only;
    if (flags.json) await writeJson(io.stdout, { destinations: found.map((each) => documentOf(each, work)) });
    else await writeText(io.stdout, `${found.flatMap((each) => textsOf(each, work)).join('\n\n')}\n`);
    return combineExitCodes(failures.map((error) => (error === null ? 0 : exitCodeOfError(error))));
  });
}

function textsOf<T>({ destination, result }: Destined<readonly T[]>, { format, prefixOf }: Work<T>): string[] {
  if (result instanceof Error) return [`${destination}\n  ${errorText(result)}`];
  return result.map((part) => format(placeOf(destination, prefixOf(part)), part));
}

const documentOf = <T>(
  { destination, result }: Destined<readonly T[]>,
  { document }: Work<T>,
): Record<string, unknown> => ({
  destination,
  ...(result instanceof Error ? errorDocument(result) : { leases: result.map(document) }),
});

export function leaseCommand(session: Session): Command {
  const show = leaseAction(session, showFacts, async () => {
    const { describeLeases } = await import('../daemon/lease-command.ts');
    const now = systemClock.now();
    return {
      ask: describeLeases,
      stopped: 'stopped before all was asked',
      format: (place, lease) => formatLease(place, lease, now),
      document: leaseDocument,
      failureOf: () => null,
      prefixOf: ({ prefix }) => prefix,
    };
  });
  const release = leaseAction(session, releaseFacts, async () => {
    const { releaseLeases } = await import('../daemon/lease-command.ts');
    return {
      ask: (urls, options) => releaseLeases(urls, { ...options, version: session.version }),
      stopped: 'stopped: what had not been released by then is held as it was',
      format: formatRelease,
      document: releaseDocument,
      failureOf: ({ outcome }) => (outcome instanceof Error ? outcome : null),
      prefixOf: ({ prefix }) => prefix,
    };
  });
  const group = newCommand(session, {
    name: 'lease',
    summary: 'Show who may write to a backup, or hand over for a process that is gone.',
    usage: 'show | release [flags] DB_DIR | URL',
    description: 'What concerns the lease: at any time one process alone may write to a backup.',
    examples: [
      ['stdb-replicate lease show s3://my-backups/game-0', 'who writes there?'],
      ['stdb-replicate lease release s3://my-backups/game-0', 'after the machine that wrote there was lost'],
    ],
  });
  for (const command of [show, release]) group.addCommand(command);
  return group;
}
