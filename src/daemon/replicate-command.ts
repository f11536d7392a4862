/** The composition root of `replicate`: one replicator for each configured database, under one budget and supervisor. */
import type { Config } from '../config/config.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { ConfigurationError, type ExitCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { Replicator } from '../replicate/replicator.ts';
import { identifyWriter } from '../replicate/writer.ts';
import { classifyDirectory } from '../spacetimedb/classify-directory.ts';
import { type Destination, openDestination } from './destination.ts';
import { combineExitCodes, exitCodeOfError } from './exit-code.ts';
import { Shutdown, type Signals } from './shutdown.ts';
import { runAll } from './supervisor.ts';

/** After how long without any answer one pass (`-once`) gives up; the service never does. */
export const GIVE_UP_AFTER_MS = 30_000;

/** The part of the memory that backlogs and snapshots leave to logs that keep up. */
const STEADY_MEMORY_PART = 8;
const STEADY_MEMORY_BYTES_MAX = 16 * 1024 * 1024;

export interface ReplicateOptions {
  readonly config: Config;
  readonly once: boolean;
  /** Make the root directories of `file:` stores. */
  readonly createStore?: boolean;
  readonly giveUpAfterMs?: number;
  /** Wait for the lease for as long as another process of the same owner holds it. */
  readonly standby?: boolean;
  readonly version: string;
  readonly log: Log;
  readonly signals: Signals;
  /** Ends the process at once: for work that does not end when it is told to. */
  readonly exit: (code: number) => never;
  readonly clock?: Clock;
  readonly server?: ServerBeside;
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
  for (const { path } of config.dbs) await requireReplicaDirectory(diskFiles, path, { once });
  await using stack = new AsyncDisposableStack();
  const destinations: Destination[] = [];
  const replicators: Replicator[] = [];
  const steadyBytes = Math.min(config.memoryBytes / STEADY_MEMORY_PART, STEADY_MEMORY_BYTES_MAX);
  const budget = new ByteBudget(config.memoryBytes - steadyBytes);
  const steadyBudget = new ByteBudget(steadyBytes);
  const writer = await identifyWriter({ owner: config.owner, version });
  for (const { path, replicas: [replica = { url: '' }] } of config.dbs) {
    const own = config.dbs.length > 1 ? log.child({ database: path }) : log;
    const destination = await openDestination(replica.url, {
      requestTimeoutMs: config.requestTimeoutMs,
      create: options.createStore ?? false,
      giveUpAfterMs: once ? (options.giveUpAfterMs ?? GIVE_UP_AFTER_MS) : null,
      clock,
      log: own,
    });
    stack.use(destination.client);
    destinations.push(destination);
    replicators.push(newReplicator({ path, destination, log: own }));
  }

  function newReplicator({
    path,
    destination,
    log: own,
  }: {
    path: string;
    destination: Destination;
    log: Log;
  }): Replicator {
    return new Replicator({
      database: path,
      files: diskFiles,
      client: destination.client,
      writer,
      leaseTtlMs: config.leaseTtlMs,
      intervalMs: config.levels[0]?.intervalMs ?? 1_000,
      compressionLevel: config.compressionLevel,
      budget,
      steadyBudget,
      clock,
      log: own,
      once,
      standby,
      takeover: config.takeover,
    });
  }

  const databases = () => replicators.map((replicator) => replicator.status());
  if (config.addr !== null && !once) {
    const stores = () => destinations.map(({ counters }) => counters());
    const { serve } = await import('./serve.ts');
    const server = stack.use(await serve({ addr: config.addr, databases, stores, version }));
    log.info('serving metrics and health', { ...server.address });
  }
  const drain = () => {
    for (const replicator of replicators) replicator.drain();
  };
  using shutdown = new Shutdown({ signals, exit, timeoutMs: config.shutdownTimeoutMs, clock, log, drain });
  const running = runAll(replicators, { signal: shutdown.signal, log });
  options.server?.start();
  const outcomes = await running;
  await options.server?.outlive();
  return combineExitCodes(outcomes.map(({ error }) => (error === null ? 0 : exitCodeOfError(error))));
}

/** A path that is not there yet is waited for; one that is something else is a mistake. */
async function requireReplicaDirectory(files: ReadableFiles, path: string, { once }: { once: boolean }): Promise<void> {
  const found = await classifyDirectory(files, path);
  if (found.kind === 'replica' || (!once && (found.kind === 'absent' || found.kind === 'empty'))) return;
  const facts = { database: path };
  switch (found.kind) {
    case 'server':
      throw new ConfigurationError(`${path} is a whole server data directory, not one database`, {
        hint:
          found.replicas.length === 0
            ? 'Give the directory of one database in it: …/replicas/<id>.'
            : `Give each database by itself: ${found.replicas.join(', ')}`,
        facts,
      });
    case 'absent':
      throw new ConfigurationError(`${path} does not exist`, { hint: 'Check the path of the database.', facts });
    default:
      throw new ConfigurationError(`${path} is not a SpacetimeDB database: it has no clog directory`, {
        hint: 'Give the directory of one database: …/replicas/<id> below the data directory of the server.',
        facts,
      });
  }
}
