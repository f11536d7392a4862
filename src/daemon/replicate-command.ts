/** The composition root of `replicate`: each configured path to each of its destinations, under one memory and supervisor. */
import type { Config } from '../config/config.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { ExitCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { DatabaseStatus } from '../core/status.ts';
import { diskFiles } from '../core/readable-files.ts';
import { redactUrl } from '../replica/registry.ts';
import { identifyWriter } from '../replicate/writer.ts';
import { combineExitCodes, exitCodeOfError } from './exit-code.ts';
import { drillMemoryBytes, openDrills } from './drill-places.ts';
import { MemoryShares } from './memory-shares.ts';
import type { OperatorLog } from './open-log.ts';
import { sayPass } from './pass-summary.ts';
import { PathReplication, requireSource } from './path-replication.ts';
import type { ReplicationContext } from './replication.ts';
import { SharedStores, storeOf } from './shared-stores.ts';
import { Shutdown, type Signals } from './shutdown.ts';
import { Supervisor } from './supervisor.ts';

/** After how long without any answer one pass (`-once`) gives up; the service never does. */
export const GIVE_UP_AFTER_MS = 30_000;

/** A log; one that keeps its last events shows them over HTTP. */
export type EventLog = Log & Partial<Pick<OperatorLog, 'events'>>;

export interface ReplicateOptions {
  readonly config: Config;
  readonly once: boolean;
  /** Make the root directories of `file:` stores. */
  readonly createStore?: boolean;
  readonly giveUpAfterMs?: number;
  /** Wait for the lease for as long as another process of the same owner holds it. */
  readonly standby?: boolean;
  readonly version: string;
  readonly log: EventLog;
  readonly signals: Signals;
  /** Ends the process at once: for work that does not end when it is told to. */
  readonly exit: (code: number) => never;
  readonly clock?: Clock;
  readonly server?: ServerBeside;
  /** Told at the end of what each one that failed did, which is logged already. */
  readonly onFailure?: (error: unknown) => void;
  /** Of the command that drills start. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A server that this process runs (`-exec`), as far as the composition knows of it. */
export interface ServerBeside {
  /** Called when all is set up and the replicators begin. Not called where the configuration is found wrong before. */
  start(): void;
  /** Called when no replicator runs any more; resolves when the server has ended. Until then health is served. */
  outlive(): Promise<void>;
}

/** Failures of single databases are logged; what is thrown here is of the configuration. */
export async function runReplicate(options: ReplicateOptions): Promise<ExitCode> {
  const { config, once, standby = false, version, log, signals, exit, clock = systemClock } = options;
  for (const { path } of config.dbs) await requireSource(diskFiles, path, { once });
  await using stack = new AsyncDisposableStack();
  const { requestTimeoutMs, memoryBytes } = config;
  const stores = stack.use(new SharedStores({ requestTimeoutMs, create: options.createStore ?? false }));
  const urls = config.dbs.flatMap(({ replicas }) => replicas.map(({ url }) => url));
  const drain = (): void => supervisor.drain();
  const waitedFor = (): readonly string[] => supervisor.running;
  using shutdown = new Shutdown({ signals, exit, timeoutMs: config.shutdownTimeoutMs, clock, log, drain, waitedFor });
  const supervisor = new Supervisor({ signal: shutdown.signal, log });
  const { drill } = config;
  const drillBytes = drill === null || once ? 0 : drillMemoryBytes(memoryBytes);
  const context: ReplicationContext = {
    config,
    once,
    standby,
    giveUpAfterMs: once ? (options.giveUpAfterMs ?? GIVE_UP_AFTER_MS) : null,
    writer: await identifyWriter({ owner: config.owner, version }),
    files: diskFiles,
    clock,
    memory: new MemoryShares({ memoryBytes: memoryBytes - drillBytes, stores: new Set(urls.map(storeOf)) }),
    supervisor,
  };
  const replications = await openReplications(context, { config, stores, log });

  const databases = (): readonly DatabaseStatus[] => replications.flatMap((each) => each.databases());
  const env = options.env ?? {};
  const drills = drill && !once ? await openDrills({ drill, config, stores, databases, env, clock, log }) : null;

  if (config.addr !== null && !once) {
    const { serve } = await import('./serve.ts');
    const sources = {
      databases,
      images: () => replications.flatMap((each) => each.images()),
      stores: () => replications.flatMap((each) => each.stores()),
      events: () => log.events?.() ?? [],
      ...(drills === null ? {} : { drills: () => drills.statuses() }),
    };
    const server = stack.use(await serve({ addr: config.addr, version, ...sources }));
    log.info('serving metrics and health', { ...server.address });
  }
  const running = Promise.all(
    replications.map((each) => supervisor.run(each, { isContainer: () => each.isContainer })),
  );
  // What becomes of drills is told by health and metrics, not by the exit code.
  const drilling = drills && supervisor.run(drills, { isContainer: () => true });
  options.server?.start();
  await running;
  drills?.drain();
  await drilling;
  await options.server?.outlive();
  const { outcomes } = supervisor;
  const images = replications.flatMap((each) => each.images());
  if (once) sayPass({ databases: databases(), images, outcomes, log });
  for (const { error } of outcomes) if (error !== null) options.onFailure?.(error);
  return combineExitCodes(outcomes.map(({ error }) => (error === null ? 0 : exitCodeOfError(error))));
}

/** @throws ConfigurationError */
async function openReplications(
  context: ReplicationContext,
  { config, stores, log }: { config: Config; stores: SharedStores; log: Log },
): Promise<PathReplication[]> {
  const replications: PathReplication[] = [];
  for (const { path, replicas, extraFiles } of config.dbs) {
    for (const { url } of replicas) {
      const facts = {
        ...(config.dbs.length > 1 ? { database: path } : {}),
        ...(replicas.length > 1 ? { destination: redactUrl(url) } : {}),
      };
      const root = await stores.open(url);
      const place = { path, root, store: storeOf(url), log: log.child(facts) };
      replications.push(new PathReplication(context, place, { extraFiles }));
    }
  }
  return replications;
}
