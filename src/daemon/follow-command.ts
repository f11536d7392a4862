/** The composition root of `restore -follow`: one destination, the lock on the directory, health and metrics. */
import { ByteBudget } from '../core/byte-budget.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { ConfigurationError } from '../core/errors.ts';
import type { StandbyStatus } from '../core/status.ts';
import { replicaPrefix } from '../layout/server-keys.ts';
import { openReplicaClient } from '../replica/registry.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { Standby } from '../restore/follow/follow.ts';
import type { OwnershipWish } from '../restore/ownership.ts';
import type { RestoreProgress, RestoreReport } from '../restore/restore.ts';
import { readKind, requireServer } from '../restore/server/read-server-store.ts';
import { checkTargetOutsideStore } from '../restore/target.ts';
import type { OnUnfinished } from '../restore/unfinished.ts';
import { chooseDestination } from './choose-destination.ts';
import { type Destination, destinationOf } from './destination.ts';
import { directoryLocker } from './directory-lock.ts';
import type { EventLog } from './replicate-command.ts';

export interface FollowCommandOptions {
  /** All destinations of the database; of several the one that reaches furthest is followed. */
  readonly urls: readonly string[];
  /** Absolute: the replica directory. */
  readonly target: string;
  /** Of a server's backup: this database. */
  readonly replicaId?: bigint | undefined;
  readonly ownership?: OwnershipWish;
  readonly intervalMs: number;
  /** Where metrics and health are served; null: nowhere. */
  readonly addr: { readonly host: string; readonly port: number } | null;
  /** Requests at once. */
  readonly parallelism: number;
  readonly memoryBytes: number;
  readonly requestTimeoutMs: number;
  /** How long the first answer of the store is waited for; an outage later is waited out. */
  readonly giveUpAfterMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly log: EventLog;
  readonly progress: (progress: RestoreProgress) => void;
  /** Told what is left of the restore before the standby, where that is stopped. */
  readonly onUnfinished?: OnUnfinished | undefined;
  readonly onRestored: (report: RestoreReport & { readonly source: string }) => void;
  /** Its abort is the good end. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** Where the standby stands when it ends. @throws as `Standby.run` and `chooseDestination`; ConfigurationError */
export async function runFollow(options: FollowCommandOptions): Promise<StandbyStatus> {
  const { urls, target, addr, log, signal, clock = systemClock } = options;
  for (const url of urls) await checkTargetOutsideStore(target, url);
  await using stack = new AsyncDisposableStack();
  const stores: ReplicaClient[] = [];
  for (const url of urls) stores.push(stack.use(await openReplicaClient(url, options)));
  const { store, prefix } = await firstAnswer(stores, { ...options, clock });
  const destination: Destination = destinationOf(store, { giveUpAfterMs: null, clock, log });
  const client = prefix === '' ? destination.client : prefixedClient(destination.client, prefix);
  const standby = new Standby({
    ...options,
    client,
    directory: target,
    lock: directoryLocker(options),
    budget: new ByteBudget(options.memoryBytes),
    clock,
    onRestored: (report) => options.onRestored({ ...report, source: client.url }),
  });
  if (addr !== null) {
    const { serve } = await import('./serve.ts');
    const sources = {
      databases: () => [],
      images: () => [],
      standbys: () => [standby.status()],
      stores: () => [destination.counters()],
      events: () => log.events?.() ?? [],
    };
    const server = stack.use(await serve({ addr, version: options.version, ...sources }));
    log.info('serving metrics and health', { ...server.address });
  }
  await standby.run(signal);
  return standby.status();
}

/** A store that does not answer at the start is more likely a wrong URL than an outage. */
async function firstAnswer(
  stores: readonly ReplicaClient[],
  options: FollowCommandOptions & { readonly clock: Clock },
): Promise<{ readonly store: ReplicaClient; readonly prefix: string }> {
  const { replicaId, signal } = options;
  const clients = stores.map((one) => destinationOf(one, options).client);
  const [only] = clients;
  const chosen =
    only !== undefined && clients.length === 1
      ? only
      : await chooseDestination(clients, { ...options, partial: false });
  const store = stores[clients.indexOf(chosen)];
  if (store === undefined) throw new TypeError('a destination was chosen that was given');
  const kind = await readKind({ client: chosen, signal });
  if (replicaId !== undefined) requireServer(kind, chosen.url);
  else if (kind === 'server') {
    throw new ConfigurationError(`${chosen.url} is the backup of a whole server, and -follow keeps one database`, {
      hint: 'Give -replica-id N: one standby for each database.',
      facts: { url: chosen.url },
    });
  }
  return { store, prefix: replicaId === undefined ? '' : replicaPrefix(replicaId) };
}
