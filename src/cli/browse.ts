/** What `generations`, `snapshots`, `points` and `log` have in common: their flags, and which destinations they mean. */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config } from '../config/config.ts';
import { ReplicateError, UsageError } from '../core/errors.ts';
import type { BrowsedDestination, BrowsedPart } from '../daemon/browse-command.ts';
import { combineExitCodes, exitCodeOfError } from '../daemon/exit-code.ts';
import type { BrowseOptions } from '../daemon/browse-parts.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { type OutputStream, writeJson, writeText } from './io.ts';
import { errorText, placeOf } from './lease-text.ts';
import { parseCount, parseDurationFlag } from './parse-flags.ts';
import { isUrl } from './places.ts';
import { parseReplicaIdFlag, placeOfDirectory } from './restore-place.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';

export interface BrowseFlags {
  readonly config?: string;
  readonly replicaId?: string;
  readonly generation?: string;
  readonly parallelism: string;
  readonly giveUpAfter: string;
  readonly json?: true;
}

const PARALLELISM_MAX = 64;

export const WHERE = `DB_DIR is a path in the configuration, or a replica directory in one. URL is one destination, s3://bucket/prefix or
file:///path, and needs no configuration. Of a whole server each database is shown; -replica-id chooses one.`;

export const generationOption = (): Option =>
  new Option(
    '--generation <G>',
    'The line that ends with this generation: its name, or its number. Default: the head’s.',
  );

export const browseOptions = (json: string): Option[] => [
  configFileOption(),
  new Option('--replica-id <N>', 'Of a server’s backup: this database alone.'),
  new Option('--parallelism <N>', `Requests to the store at once, 1 to ${PARALLELISM_MAX}. Default: 8.`).default('8'),
  new Option('--give-up-after <DURATION>', 'Give up after so long without an answer of a store. Default: 30s.').default(
    '30s',
  ),
  new Option('--json', json),
];

export interface BrowsePlace {
  readonly config: Config;
  readonly urls: readonly string[];
  readonly replicaId: bigint | undefined;
}

/** Without an argument: all that is configured. @throws ConfigurationError, UsageError */
export async function findBrowsePlace(
  session: Session,
  source: string | undefined,
  flags: BrowseFlags,
): Promise<BrowsePlace> {
  const replicaId = parseReplicaIdFlag(flags.replicaId);
  if (source !== undefined && isUrl(source)) {
    const { config } = await loadForCommand(session, { config: flags.config, fileless: true });
    return { config, urls: [source], replicaId };
  }
  const { config, file } = await loadForCommand(session, { config: flags.config });
  if (source !== undefined)
    return { config, ...placeOfDirectory(config, { source, o: undefined, replicaId }, { file }) };
  return { config, urls: config.dbs.flatMap(({ replicas }) => replicas.map(({ url }) => url)), replicaId };
}

/** @throws UsageError where a generation is named and it is not clear whose */
export function requireOneUrl(urls: readonly string[], flags: BrowseFlags): void {
  if (flags.generation === undefined || urls.length === 1) return;
  throw new UsageError('-generation means one of one destination, and there are several', {
    hint: 'Give the URL of one destination.',
  });
}

/** What every browse command hands down. @throws UsageError */
export async function commonOptions(
  session: Session,
  { config, replicaId }: BrowsePlace,
  flags: BrowseFlags,
): Promise<Omit<BrowseOptions, 'signal'>> {
  const { memoryBytes, requestTimeoutMs } = config;
  const parallelism = parseCount('parallelism', flags.parallelism, { min: 1, max: PARALLELISM_MAX });
  const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
  const log = await openSessionLog(session, config);
  return { replicaId, memoryBytes, requestTimeoutMs, parallelism, giveUpAfterMs, log };
}

const WIDTH_MIN = 40;

/** Characters of a line: of the terminal, or as COLUMNS says; null where nothing limits it. */
export function widthOf(stdout: OutputStream, env: Readonly<Record<string, string | undefined>>): number | null {
  const columns = env['COLUMNS'] ?? '';
  const width = /^[1-9]\d{0,3}$/.test(columns) ? Number(columns) : stdout.isTTY === true ? stdout.columns : undefined;
  return width === undefined || width === 0 ? null : Math.max(WIDTH_MIN, width);
}

export interface TableWork<T> {
  readonly facts: CommandFacts;
  readonly options: readonly Option[];
  readonly ask: (
    urls: readonly string[],
    options: BrowseOptions & { readonly generation?: string | undefined },
  ) => Promise<readonly BrowsedDestination<T>[]>;
  /** Lines, without the place's own. */
  readonly format: (part: T, width: number | null) => readonly string[];
  readonly document: (part: T) => Record<string, unknown>;
}

/** A command that prints a table for each database of each destination. */
export function tableCommand<T>(session: Session, work: TableWork<T>): Command {
  const command = newCommand(session, work.facts, work.options);
  return act<BrowseFlags>(session, command, async ([source], flags) => {
    checkPositionals(command, { min: 0, max: 1, what: 'DB_DIR or URL' });
    const place = await findBrowsePlace(session, source, flags);
    requireOneUrl(place.urls, flags);
    const options = await commonOptions(session, place, flags);
    const { io } = session;
    const found = await interruptible(io, { message: 'stopped before all was asked' }, (signal) =>
      work.ask(place.urls, { ...options, generation: flags.generation, signal }),
    );
    const errors = found.flatMap(({ result }) =>
      result instanceof Error ? [result] : result.map((part) => (part.result instanceof Error ? part.result : null)),
    );
    const [only = null] = errors;
    // Where there is one place alone and it failed, that is all there is to say.
    if (errors.length === 1 && only !== null && !flags.json) throw only;
    if (flags.json) await writeJson(io.stdout, { destinations: found.map((one) => documentOf(one, work)) });
    else {
      const width = widthOf(io.stdout, io.env);
      await writeText(io.stdout, `${found.flatMap((one) => textsOf(one, { work, width })).join('\n\n')}\n`);
    }
    return combineExitCodes(errors.map((error) => (error === null ? 0 : exitCodeOfError(error))));
  });
}

function textsOf<T>(
  { destination, result }: BrowsedDestination<T>,
  { work, width }: { readonly work: TableWork<T>; readonly width: number | null },
): string[] {
  if (result instanceof Error) return [`${destination}\n  ${errorText(result)}`];
  return result.map(({ prefix, result: part }) => {
    const lines = part instanceof Error ? [`  ${errorText(part)}`] : work.format(part, width);
    return [placeOf(destination, prefix), ...lines].join('\n');
  });
}

const errorDocument = (error: Error): Record<string, unknown> => ({
  error: error instanceof ReplicateError ? error.code : error.name,
  message: error.message,
});

const documentOf = <T>(
  { destination, result }: BrowsedDestination<T>,
  work: TableWork<T>,
): Record<string, unknown> => ({
  destination,
  ...(result instanceof Error ? errorDocument(result) : { parts: result.map((part) => partDocument(part, work)) }),
});

const partDocument = <T>(
  { prefix, replicaId, result }: BrowsedPart<T>,
  { document }: TableWork<T>,
): Record<string, unknown> => ({
  prefix,
  replicaId: replicaId?.toString() ?? null,
  ...(result instanceof Error ? errorDocument(result) : document(result)),
});
