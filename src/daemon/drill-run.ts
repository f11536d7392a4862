/**
 * One drill: restores into a scratch directory, reads back what lies there, starts a command on it where one is asked for,
 * measures, and removes it again, whatever happened.
 */
import { join } from 'node:path';
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { TimedPosition } from '../core/status.ts';
import type { Crc32c, Micros } from '../core/types.ts';
import { replicaPrefix } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { restore, type RestoreProgress, type RestoreReport } from '../restore/restore.ts';
import { readKind, requireServer } from '../restore/server/read-server-store.ts';
import { restoreServer } from '../restore/server/restore-server.ts';
import { REPLICAS_DIR } from '../spacetimedb/file-names.ts';
import { checkReplicaDirectory } from '../verify/check-directory.ts';
import { firstRecoverable, randomMoments } from '../verify/random-moment.ts';
import { chooseRandomPoint } from '../verify/random-point.ts';
import { DrillDirectory } from './drill-directory.ts';
import { runDrillCommand } from './drill-exec.ts';
import { listStoredReplicas } from './stored-parts.ts';

export interface DrillOptions {
  /** Of the destination's root. */
  readonly client: ReplicaClient;
  /** Of a server's backup: this database alone. */
  readonly replicaId?: bigint | undefined;
  /** An existing directory, in which the drill makes one of its own. */
  readonly scratch: string;
  /** A point by chance, of a whole server a moment, the same for the same seed; null: the newest. */
  readonly seed: number | null;
  /** Run by `sh -c` on what was restored; null: nothing is. */
  readonly exec: { readonly command: string; readonly timeoutMs: number } | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly parallelism: number;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  readonly progress?: (progress: RestoreProgress) => void;
  readonly signal: AbortSignal;
}

export interface DrilledDatabase {
  /** Null for a single database. */
  readonly replicaId: bigint | null;
  readonly position: TimedPosition;
  /** Of the last commit as it was written: another than the position's where the end was of format version 0. */
  readonly crcOnDisk: Crc32c;
}

export interface DrillReport {
  readonly kind: 'database' | 'server';
  /** Without secrets. */
  readonly source: string;
  readonly databases: readonly DrilledDatabase[];
  /** Of a server: when its image was made. */
  readonly imageTime: Micros | null;
  /** Of a server: the moment that chance told; null where the newest was restored. */
  readonly moment: Micros | null;
  readonly restoreMs: number;
  readonly checkMs: number;
  /** 0 without a command. */
  readonly execMs: number;
  readonly plainBytes: number;
  readonly fetchedBytes: number;
  /** What an operator must hear of although all went well: whole sentences. */
  readonly warnings: readonly string[];
}

type Restored = Omit<DrillReport, 'source' | 'restoreMs' | 'checkMs' | 'execMs'>;

/** @throws as `restore` and `restoreServer`; CorruptionError of what lies on the disk; DrillCommandError */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { scratch, log, clock, signal, exec, budget } = options;
  const lap = stopwatch(clock);
  await using directory = await DrillDirectory.open(scratch, { log });
  const { target } = directory;
  const { client, kind } = await sourceOf(options);
  const restored = kind === 'server' ? await restoreWhole(target, options) : await restoreOne(target, client, options);
  const restoreMs = lap();
  for (const { replicaId, position, crcOnDisk: crc } of restored.databases) {
    const path = replicaId === null ? target : join(target, REPLICAS_DIR, `${replicaId}`);
    await checkReplicaDirectory(path, { position: { ...position, crc }, budget, signal });
  }
  const checkMs = lap();
  if (exec !== null) {
    const tx = restored.databases[0]?.position.tx;
    const env = { ...options.env, STDB_DRILL_DIR: target, ...(tx === undefined ? {} : { STDB_DRILL_TX: `${tx}` }) };
    await runDrillCommand({ ...exec, env, clock, signal });
  }
  return { ...restored, source: client.url, restoreMs, checkMs, execMs: exec === null ? 0 : lap() };
}

/** Milliseconds since it was last asked. */
function stopwatch(clock: Clock): () => number {
  let last = clock.monotonic();
  return () => {
    const before = last;
    last = clock.monotonic();
    return last - before;
  };
}

async function sourceOf({ client, replicaId, signal }: DrillOptions): Promise<{
  readonly client: ReplicaClient;
  readonly kind: 'database' | 'server';
}> {
  const kind = await readKind({ client, signal });
  if (replicaId === undefined) return { client, kind: kind ?? 'database' };
  requireServer(kind, client.url);
  return { client: prefixedClient(client, replicaPrefix(replicaId)), kind: 'database' };
}

async function restoreOne(target: string, client: ReplicaClient, options: DrillOptions): Promise<Restored> {
  const { seed, budget, parallelism, signal, log } = options;
  const fetch = { client, budget, parallelism, signal };
  const tx = seed === null ? null : await chooseRandomPoint({ fetch, seed, log });
  const point = tx === null ? {} : { point: { kind: 'tx', tx } as const };
  const report = await restore({ ...common(options), ...point, client, target });
  const { plainBytes, fetchedBytes, warnings } = report;
  const databases = drilled(null, report);
  return { kind: 'database', databases, imageTime: null, moment: null, plainBytes, fetchedBytes, warnings };
}

/** Of a restore that wrote something: that is all that a drill does. */
const drilled = (replicaId: bigint | null, { position, crcOnDisk }: RestoreReport): DrilledDatabase[] =>
  position === null || crcOnDisk === null ? [] : [{ replicaId, position, crcOnDisk }];

async function restoreWhole(target: string, options: DrillOptions): Promise<Restored> {
  const { client, seed, log, signal } = options;
  const clientAt = (prefix: string): ReplicaClient => prefixedClient(client, prefix);
  const attempt = async (moment: Micros | null) => {
    const point = moment === null ? {} : { point: { kind: 'timestamp', time: moment } as const };
    return { moment, report: await restoreServer({ ...common(options), ...point, client, clientAt, target }) };
  };
  const replicaIds = seed === null ? [] : await listStoredReplicas(client, { signal });
  const moments = seed === null ? [] : await randomMoments({ client, clientAt, replicaIds, fetch: options, seed, log });
  const { moment, report } = await firstRecoverable(moments, { attempt, log });
  const { plainBytes, fetchedBytes, image } = report;
  const databases = report.replicas.flatMap((replica) => drilled(replica.replicaId, replica));
  const warnings = [...report.warnings, ...report.replicas.flatMap((replica) => replica.warnings)];
  return { kind: 'server', databases, imageTime: image?.time ?? null, moment, plainBytes, fetchedBytes, warnings };
}

const common = ({ parallelism, budget, clock, log, signal, progress }: DrillOptions) => ({
  parallelism,
  budget,
  clock,
  log,
  signal,
  ...(progress === undefined ? {} : { progress }),
});
