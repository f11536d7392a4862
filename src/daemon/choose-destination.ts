/**
 * Asks every destination of a database, or of a whole server, how far it reaches, and takes the furthest. One that cannot
 * be asked may be the furthest, and two that disagree cannot both be right: a restore decides neither by itself.
 */
import { ByteBudget } from '../core/byte-budget.ts';
import { ConfigurationError, CorruptionError, NoBackupError, UnrecoverablePointError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import type { Log } from '../core/log.ts';
import { replicaPrefix, SERVER_PREFIX } from '../layout/server-keys.ts';
import { type ReplicaClient, UnavailableError } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { ProgressMeter } from '../restore/progress-meter.ts';
import { ServerPlanner } from '../restore/server/plan-server.ts';
import { readKind, requireServer } from '../restore/server/read-server-store.ts';
import { askDatabase, judgeCommit, lineOfPlan } from '../restore/sources/ask-source.ts';
import {
  chooseSource,
  comparisonName,
  type SourceChoice,
  type SourceFacts,
  type SourceLine,
  type Verdict,
} from '../restore/sources/choose-source.ts';

export interface ChooseDestinationOptions {
  /** One database of a server's backup. */
  readonly replicaId?: bigint | undefined;
  readonly partial: boolean;
  readonly memoryBytes: number;
  /** Requests at once, to each destination. */
  readonly parallelism: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** The one database where the destination, or the part of it that is asked for, holds a single one. */
export const ONE_DATABASE = '';

export interface Asked {
  /** Of the destination's root. */
  readonly client: ReplicaClient;
  readonly kind: 'database' | 'server';
  readonly facts: SourceFacts;
}

export interface RankedDestinations {
  readonly furthest: Asked;
  /** Those that hold the same history, not as far, in the order given. */
  readonly others: readonly Asked[];
}

/** @throws as `rankDestinations` */
export async function chooseDestination(
  clients: readonly ReplicaClient[],
  options: ChooseDestinationOptions,
): Promise<ReplicaClient> {
  return (await rankDestinations(clients, options)).furthest.client;
}

/**
 * @param clients of the roots of two destinations at least
 * @throws NoBackupError where all say so; UnavailableError where one cannot be asked; UnrecoverablePointError where two
 * disagree or none is ahead; CorruptionError where one is damaged; ConfigurationError where they are of two kinds
 */
export async function rankDestinations(
  clients: readonly ReplicaClient[],
  options: ChooseDestinationOptions,
): Promise<RankedDestinations> {
  const answers = await Promise.allSettled(clients.map((client) => ask(client, options)));
  options.signal.throwIfAborted();
  const asked: Asked[] = [];
  const empty: Error[] = [];
  for (const [index, answer] of answers.entries()) {
    const client = clients[index] as ReplicaClient;
    if (answer.status === 'fulfilled') asked.push(answer.value);
    else empty.push(requireEmpty(answer.reason, client, clients));
  }
  const [first] = asked;
  if (first === undefined) {
    const refused = empty.find((error) => error instanceof UnrecoverablePointError) ?? empty[0];
    throw refused ?? new TypeError('at least one destination was asked');
  }
  for (const error of empty) options.log.warn(`nothing can be restored from one destination: ${error.message}`);
  const other = asked.find(({ kind }) => kind !== first.kind);
  if (other !== undefined) {
    throw new ConfigurationError(
      `${first.client.url} is the backup of a ${first.kind}, and ${other.client.url} that of a ${other.kind}`,
      { hint: hintOf(clients) },
    );
  }
  const furthest = await decide(asked, options);
  const { client, facts } = furthest;
  const reach = [...facts.databases].map(([name, { end }]) =>
    name === ONE_DATABASE ? `${end.tx}` : `replica ${name}: ${end.tx}`,
  );
  options.log.info('taking the destination that reaches furthest', { url: client.url, tx: reach.join(', ') });
  return { furthest, others: asked.filter((one) => one !== furthest) };
}

async function decide(asked: readonly Asked[], options: ChooseDestinationOptions): Promise<Asked> {
  const facts = asked.map((one) => one.facts);
  const verdicts = new Map<string, Verdict>();
  for (;;) {
    const choice = chooseSource(facts, verdicts);
    if (choice.kind === 'chosen') return asked[choice.source] as Asked;
    if (choice.kind !== 'compare') throw conflictError(choice, asked);
    const { source, database, wanted } = choice.comparison;
    const { client } = asked[source] as Asked;
    const prefix = database === ONE_DATABASE ? prefixOf(options) : replicaPrefix(BigInt(database));
    const fetch = fetchFrom(prefixedClient(client, prefix), options);
    try {
      verdicts.set(comparisonName(choice.comparison), await judgeCommit(wanted, fetch));
    } catch (error) {
      const clients = asked.map((one) => one.client);
      throw requireEmpty(error, client, clients);
    }
  }
}

const prefixOf = ({ replicaId }: ChooseDestinationOptions): string =>
  replicaId === undefined ? '' : replicaPrefix(replicaId);

function fetchFrom(
  client: ReplicaClient,
  { memoryBytes, parallelism, signal }: ChooseDestinationOptions,
): FetchOptions {
  return { client, budget: new ByteBudget(memoryBytes), parallelism, signal };
}

async function ask(client: ReplicaClient, options: ChooseDestinationOptions): Promise<Asked> {
  const kind = await readKind({ client, signal: options.signal });
  if (options.replicaId !== undefined) requireServer(kind, client.url);
  if (kind === 'server' && options.replicaId === undefined) return await askServer(client, options);
  const line = await askDatabase(fetchFrom(prefixedClient(client, prefixOf(options)), options));
  const facts = { url: client.url, databases: new Map([[ONE_DATABASE, line]]), imageTime: null };
  return { client, kind: kind ?? 'database', facts };
}

async function askServer(client: ReplicaClient, options: ChooseDestinationOptions): Promise<Asked> {
  const lines = new Map<bigint, SourceLine>();
  const planner = new ServerPlanner({
    onPlan: (replicaId, plan) => void lines.set(replicaId, lineOfPlan(plan)),
    root: client,
    fetch: fetchFrom(prefixedClient(client, SERVER_PREFIX), options),
    openReplica: (replicaId) => ({
      fetch: fetchFrom(prefixedClient(client, replicaPrefix(replicaId)), options),
      progress: new ProgressMeter(undefined),
    }),
    partial: options.partial,
    // What it would warn of is said when it is restored.
    log: silentLog,
    warn: () => undefined,
  });
  const { image, replicas } = await planner.plan();
  const databases = new Map(replicas.map(({ replicaId }) => [`${replicaId}`, lines.get(replicaId) as SourceLine]));
  return { client, kind: 'server', facts: { url: client.url, databases, imageTime: image.image.time } };
}

const hintOf = (clients: readonly ReplicaClient[]): string =>
  `Give the URL of one destination and -o DIR instead of the directory to choose by yourself: ${clients.map(({ url }) => url).join(', ')}.`;

/** The error where it says that nothing is to be restored from there. @throws for all others, naming the destinations */
function requireEmpty(error: unknown, { url }: ReplicaClient, clients: readonly ReplicaClient[]): Error {
  if (error instanceof NoBackupError || error instanceof UnrecoverablePointError) return error;
  const hint = hintOf(clients);
  if (error instanceof CorruptionError) {
    throw new CorruptionError(`${url}: ${error.message}`, { cause: error, hint, facts: { ...error.facts, url } });
  }
  if (error instanceof ConfigurationError || !(error instanceof Error)) throw error;
  throw new UnavailableError(`it cannot be told how far ${url} reaches: ${error.message}`, {
    cause: error,
    hint,
    facts: { url },
  });
}

function conflictError(
  choice: Extract<SourceChoice, { kind: 'disagree' | 'crossed' }>,
  asked: readonly Asked[],
): UnrecoverablePointError {
  const [a, b] = choice.sources.map((index) => asked[index]?.client.url ?? '') as [string, string];
  const hint = hintOf(asked.map(({ client }) => client));
  if (choice.kind === 'disagree') {
    const where = choice.database === ONE_DATABASE ? '' : ` of replica ${choice.database}`;
    return new UnrecoverablePointError(
      `${a} and ${b} hold other commits at transaction ${choice.tx}${where}: they are two histories`,
      { hint, facts: { tx: choice.tx, a, b } },
    );
  }
  const [ofA, ofB] = choice.databases;
  return new UnrecoverablePointError(
    `neither ${a} nor ${b} is ahead in all databases: the one reaches further in replica ${ofA}, the other in replica ${ofB}`,
    { hint: `${hint} A server restored from both would be one that never was.`, facts: { a, b } },
  );
}
