/** Looks into destinations for people: each database of each, and a server's own files. Nothing is written. */
import { ByteBudget } from '../core/byte-budget.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { NoBackupError, UsageError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { replicaPrefix, SERVER_PREFIX } from '../layout/server-keys.ts';
import { redactUrl } from '../replica/registry.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import type { StoreView } from '../restore/plan-types.ts';
import { readStore } from '../restore/read-store.ts';
import { readKind, readServerStore, requireServer, type ServerView } from '../restore/server/read-server-store.ts';
import { openDestination } from './destination.ts';
import { listStoredReplicas } from './stored-parts.ts';
import { namingReplicas } from './unknown-replica.ts';

export interface BrowseOptions {
  /** Of a server's backup: this database alone. */
  readonly replicaId?: bigint | undefined;
  /** Requests at once, to each destination. */
  readonly parallelism: number;
  readonly memoryBytes: number;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** One database, or a server's own files. */
export interface BrowsedPart<T> {
  /** Below the destination: empty for a single database, else `replicas/1/`, `server/`. */
  readonly prefix: string;
  /** Null for a single database, and for a server's own files. */
  readonly replicaId: bigint | null;
  readonly result: T | Error;
}

export interface BrowsedDestination<T> {
  /** Without secrets. */
  readonly destination: string;
  readonly result: readonly BrowsedPart<T>[] | Error;
}

export interface BrowseWork<T> {
  readonly database: (view: StoreView, fetch: FetchOptions) => Promise<T>;
  readonly server: (view: ServerView, fetch: FetchOptions) => Promise<T>;
}

/** One entry for each URL, in their order. @throws the signal's reason; UsageError for a wrong command line */
export async function browseDestinations<T>(
  urls: readonly string[],
  options: BrowseOptions,
  work: BrowseWork<T>,
): Promise<readonly BrowsedDestination<T>[]> {
  const found = await Promise.all(
    urls.map(async (url) => ({ destination: redactUrl(url), result: await orError(browse(url, options, work)) })),
  );
  options.signal.throwIfAborted();
  return found;
}

async function browse<T>(url: string, options: BrowseOptions, work: BrowseWork<T>): Promise<readonly BrowsedPart<T>[]> {
  const { signal, clock = systemClock } = options;
  const { client } = await openDestination(url, { ...options, clock });
  await using _ = client;
  const kind = await readKind({ client, signal });
  if (kind !== 'server') {
    if (options.replicaId !== undefined) requireServer(kind, client.url);
    return [{ prefix: '', replicaId: null, result: await browseDatabase(client, options, work) }];
  }
  const parts: BrowsedPart<T>[] = [];
  if (options.replicaId === undefined) {
    const own = fetchFrom(prefixedClient(client, SERVER_PREFIX), options);
    const result = await orError((async () => work.server(await readServerStore({ ...own, log: options.log }), own))());
    parts.push({ prefix: SERVER_PREFIX, replicaId: null, result });
  }
  const ids = options.replicaId === undefined ? await listStoredReplicas(client, { signal }) : [options.replicaId];
  for (const replicaId of [...ids].sort((a, b) => (a < b ? -1 : 1))) {
    const prefix = replicaPrefix(replicaId);
    const found = browseDatabase(prefixedClient(client, prefix), options, work);
    const result = await orError(
      options.replicaId === undefined ? found : namingReplicas({ client, replicaId, signal }, found),
    );
    signal.throwIfAborted();
    parts.push({ prefix, replicaId, result });
  }
  return parts;
}

async function browseDatabase<T>(client: ReplicaClient, options: BrowseOptions, work: BrowseWork<T>): Promise<T> {
  const fetch = fetchFrom(client, options);
  const view = await readStore({ ...fetch, log: options.log });
  if (view.head === null && view.listing.generations.length === 0) throw noBackup(client.url);
  return await work.database(view, fetch);
}

export const noBackup = (url: string): NoBackupError =>
  new NoBackupError(`there is no backup in ${url}: nothing was ever stored there`, {
    facts: { url },
    hint: 'Check the URL and its prefix. A backup begins when `stdb-replicate replicate` first reaches the store.',
  });

export function fetchFrom(
  client: ReplicaClient,
  { memoryBytes, parallelism, signal }: Pick<BrowseOptions, 'memoryBytes' | 'parallelism' | 'signal'>,
): FetchOptions {
  return { client, budget: new ByteBudget(memoryBytes), parallelism, signal };
}

/** What fails at one place is part of the answer. A wrong command line is not. */
async function orError<T>(work: Promise<T>): Promise<T | Error> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && !(error instanceof UsageError)) return error;
    throw error;
  }
}
