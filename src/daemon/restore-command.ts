/** The composition root of `restore`: destinations, a budget, and the engine for what lies there. */
import { ByteBudget } from '../core/byte-budget.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { UsageError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { replicaPrefix } from '../layout/server-keys.ts';
import { redactUrl } from '../replica/registry.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { databaseExists } from '../restore/database-exists.ts';
import type { OwnershipWish } from '../restore/ownership.ts';
import type { PointRequest } from '../restore/point-request.ts';
import { type RestoreProgress, type RestoreReport, restore } from '../restore/restore.ts';
import { makeReport } from '../restore/restore-report.ts';
import { readKind, requireServer } from '../restore/server/read-server-store.ts';
import { restoreServer } from '../restore/server/restore-server.ts';
import type { ServerRestoreReport } from '../restore/server/server-report.ts';
import { checkTargetOutsideStore, inspectTarget } from '../restore/target.ts';
import type { OnUnfinished } from '../restore/unfinished.ts';
import { rankDestinations } from './choose-destination.ts';
import { openDestination } from './destination.ts';
import { restoreFromRanked } from './restore-from-ranked.ts';
import { isBackupWithoutDatabase, isServerWithoutDatabase } from './server-without-database.ts';
import { namingReplicas } from './unknown-replica.ts';

export interface RestoreCommandOptions {
  /** All destinations of the database or server; of several the one that reaches furthest is taken. */
  readonly urls: readonly string[];
  /** Absolute. A replica directory, or where the destination is that of a server and `replicaId` is absent, a whole one. */
  readonly target: string;
  /** Of a server's backup: this database alone. */
  readonly replicaId?: bigint | undefined;
  /** Of a server's backup: what can be restored, although databases are missing. */
  readonly partial?: boolean;
  readonly ownership?: OwnershipWish;
  readonly dryRun: boolean;
  /** Leave the target as it is when it holds a database. */
  readonly ifDatabaseAbsent: boolean;
  /** Another line than the head's: a generation's name or number; of a whole server, that of its images. */
  readonly generation?: string | undefined;
  /** Where to end; default: the newest recovery point. Of a whole server only a time. */
  readonly point?: PointRequest | undefined;
  /** Requests at once. */
  readonly parallelism: number;
  readonly memoryBytes: number;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly progress: (progress: RestoreProgress) => void;
  /** Told what is left of a restore that is stopped, or whose store goes away. */
  readonly onUnfinished?: OnUnfinished | undefined;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

export type RestoreCommandReport =
  | (RestoreReport & { readonly kind: 'database'; readonly source: string })
  | (ServerRestoreReport & {
      readonly kind: 'server';
      /** The destination without secrets. */
      readonly source: string;
    });

/** @throws as `restore`, `restoreServer` and `chooseDestination`; UsageError for flags that do not go together */
export async function runRestore(options: RestoreCommandOptions): Promise<RestoreCommandReport> {
  const { urls, target, generation, log, clock = systemClock, giveUpAfterMs, requestTimeoutMs } = options;
  const [first = ''] = urls;
  if (generation !== undefined && urls.length > 1) {
    throw new UsageError('-generation means one of one destination, and there are several', {
      hint: `Give the URL of one destination and -o DIR: ${urls.map(redactUrl).join(', ')}.`,
    });
  }
  // No destination is asked where there is nothing to do, or no place to do it.
  if (options.ifDatabaseAbsent && (await databaseExists(target))) return existing(redactUrl(first));
  for (const url of urls) await checkTargetOutsideStore(target, url);
  const isUnpublished = options.ifDatabaseAbsent && (await isServerWithoutDatabase(target));
  if (!isUnpublished) await inspectTarget(target);
  await using opened = new AsyncDisposableStack();
  const clients: ReplicaClient[] = [];
  for (const url of urls) {
    const { client } = await openDestination(url, { requestTimeoutMs, giveUpAfterMs, clock, log });
    clients.push(opened.use(client));
  }
  const [only] = clients;
  const ranked =
    only !== undefined && clients.length === 1
      ? null
      : await rankDestinations(clients, { ...options, partial: options.partial ?? false });
  const client = ranked?.furthest.client ?? (only as ReplicaClient);
  if (isUnpublished) {
    const budget = new ByteBudget(options.memoryBytes);
    if (await isBackupWithoutDatabase(client, { ...options, budget, clock })) return existing(client.url);
  }
  const restoreHere = (from: ReplicaClient, { dryRun }: { dryRun: boolean }): Promise<RestoreCommandReport> =>
    restoreFrom(from, { ...options, dryRun, clock });
  if (ranked === null) return await restoreHere(client, options);
  return await restoreFromRanked(ranked, { ...options, restore: restoreHere });
}

function existing(source: string): RestoreCommandReport {
  const facts = { outcome: 'exists', fetchedBytes: 0, durationMs: 0, warnings: [] } as const;
  return { kind: 'database', source, ...makeReport(null, facts) };
}

/** @throws UsageError */
function requireTime(point: PointRequest | undefined): void {
  if (point === undefined || point.kind === 'timestamp') return;
  throw new UsageError(`-${point.kind} is for a single database, and this is the backup of a whole server`, {
    hint: 'Give -replica-id N for one database of it, or -timestamp TIME, which means a point of each.',
  });
}

async function restoreFrom(
  client: ReplicaClient,
  options: RestoreCommandOptions & { readonly clock: Clock },
): Promise<RestoreCommandReport> {
  const { replicaId, partial = false, memoryBytes, signal, ...rest } = options;
  const kind = await readKind({ client, signal });
  const common = { ...rest, signal, budget: new ByteBudget(memoryBytes) };
  if (replicaId === undefined && kind === 'server') {
    requireTime(options.point);
    const clientAt = (prefix: string): ReplicaClient => prefixedClient(client, prefix);
    const report = await restoreServer({ ...common, client, clientAt, partial });
    return { kind, ...report, source: client.url };
  }
  if (partial) throw new UsageError('-partial is for a whole server, and a single database is whole or nothing');
  if (replicaId === undefined) {
    return { kind: 'database', ...(await restore({ ...common, client })), source: client.url };
  }
  requireServer(kind, client.url);
  const one = prefixedClient(client, replicaPrefix(replicaId));
  const report = await namingReplicas({ client, replicaId, signal }, restore({ ...common, client: one }));
  return { kind: 'database', ...report, source: one.url };
}
