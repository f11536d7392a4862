/**
 * Restores a whole server data directory: the newest image all of whose databases can be restored, and each of these to
 * its newest recovery point.
 *
 * Invariants: nothing is written where something is; the directory appears whole, or not at all, with every database of
 * the image unless the operator said `partial`; what a running server makes (locks, pids, caches, logs) is never written.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from '../../core/atomic-file.ts';
import { assert, localFileError } from '../../core/errors.ts';
import { replicaPrefix, SERVER_PREFIX } from '../../layout/server-keys.ts';
import { formatTimestamp } from '../../layout/time.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import { formatReplicaId, REPLICAS_DIR } from '../../spacetimedb/file-names.ts';
import { checkBudget } from '../check-budget.ts';
import { databaseExists } from '../database-exists.ts';
import type { FetchOptions } from '../fetch-parts.ts';
import { type FollowedPlan, isUnusable } from '../follow-plan.ts';
import { checkFreeSpace } from '../free-space.ts';
import { DEFAULT_PARALLELISM, type RestoreOptions } from '../restore.ts';
import { makeReport, planFacts, type RestoreReport } from '../restore-report.ts';
import { keepingUnfinished } from '../keep-unfinished.ts';
import { Staging } from '../staging.ts';
import { checkTargetOutsideStore, inspectTarget } from '../target.ts';
import { realTargetSystem, type TargetSystem } from '../target-system.ts';
import type { UnfinishedRestore } from '../unfinished.ts';
import { type PlannedReplica, type ServerPlan, ServerPlanner } from './plan-server.ts';
import { ServerProgress } from './server-progress.ts';
import { type ReplicaReport, reportImage, type ServerRestoreReport } from './server-report.ts';
import { writeImage } from './write-image.ts';

export interface RestoreServerOptions extends RestoreOptions {
  /** The part of the destination below a prefix, as a destination. */
  readonly clientAt: (prefix: string) => ReplicaClient;
  /** Restore what can be, although databases of the image are missing. */
  readonly partial?: boolean;
}

/**
 * @throws NoBackupError, CorruptionError, UnrecoverablePointError, TargetInUseError, LocalFileError, UsageError,
 * ConfigurationError, and what the client throws. After a failure or abort nothing of the target is left, but for
 * what `onUnfinished` is told of.
 */
export async function restoreServer(options: RestoreServerOptions): Promise<ServerRestoreReport> {
  const { client, target: path, system = realTargetSystem, budget } = options;
  checkBudget(budget);
  await checkTargetOutsideStore(path, client.url);
  const run = new ServerRun(options, system);
  if (options.ifDatabaseAbsent === true && (await databaseExists(path))) return run.report('exists', null);
  await inspectTarget(path, { system });
  return await run.restore();
}

interface WrittenReplica {
  /** With the plan that was followed in the end. */
  readonly replica: PlannedReplica;
  readonly written: FollowedPlan;
}

class ServerRun {
  readonly #options: RestoreServerOptions;
  readonly #system: TargetSystem;
  readonly #begin: number;
  readonly #progress: ServerProgress;
  readonly #planner: ServerPlanner;
  readonly #fetch: FetchOptions;
  readonly #warnings: string[] = [];
  /** Of an interrupted restore, between two attempts: on the disk, and nobody's until the next one takes it over. */
  #left: UnfinishedRestore | null = null;

  constructor(options: RestoreServerOptions, system: TargetSystem) {
    const { client, clientAt, generation, point, partial = false, log, clock } = options;
    this.#options = options;
    this.#system = system;
    this.#begin = clock.monotonic();
    this.#progress = new ServerProgress(options.progress);
    this.#fetch = this.#fetchFrom(clientAt(SERVER_PREFIX), this.#progress.meter());
    this.#planner = new ServerPlanner({
      root: client,
      fetch: this.#fetch,
      openReplica: (replicaId) => {
        const progress = this.#progress.meter(`replica ${replicaId}`);
        return { progress, fetch: this.#fetchFrom(clientAt(replicaPrefix(replicaId)), progress) };
      },
      generation,
      point,
      partial,
      log,
      warn: (message) => this.#warn(message),
    });
  }

  #fetchFrom(client: ReplicaClient, meter: { fetchedBytes: number }): FetchOptions {
    const { budget, signal, parallelism = DEFAULT_PARALLELISM } = this.#options;
    assert(parallelism >= 1, 'a restore needs one request at least');
    return { client, budget, signal, parallelism, onFetched: (bytes) => void (meter.fetchedBytes += bytes) };
  }

  async restore(): Promise<ServerRestoreReport> {
    this.#progress.enter('plan');
    try {
      for (;;) {
        const plan = await this.#planner.plan();
        if (this.#options.dryRun === true) {
          this.#warnOf(plan);
          return this.report('planned', plan);
        }
        const report = await this.#attempt(plan);
        if (report !== null) return report;
      }
    } catch (error) {
      if (this.#left !== null) this.#options.onUnfinished?.(this.#left);
      throw error;
    }
  }

  report(outcome: RestoreReport['outcome'], plan: ServerPlan | null): ServerRestoreReport {
    const { passedOver = [], missing = [], replicas = [] } = plan ?? {};
    return {
      outcome,
      image: plan && reportImage(plan.image, plan.manifest),
      replicas: replicas.map((replica) => this.#reportReplica(outcome, replica)),
      missing: missing.map(({ replicaId, error }) => ({ replicaId, reason: error.message })),
      passedOver: passedOver.map(({ image: { image }, missing: ids }) => ({ ...image, missing: ids })),
      plainBytes: 0,
      fetchedBytes: this.#progress.fetchedBytes,
      durationMs: this.#options.clock.monotonic() - this.#begin,
      warnings: [
        ...this.#warnings,
        ...replicas.flatMap(({ replicaId, database }) =>
          database.warnings.map((text) => `Replica ${replicaId}: ${text}`),
        ),
      ],
    };
  }

  #reportReplica(
    outcome: RestoreReport['outcome'],
    { replicaId, summary, progress, database }: PlannedReplica,
  ): ReplicaReport {
    const { warnings, point } = database;
    const facts = { outcome, fetchedBytes: progress.fetchedBytes, durationMs: 0, warnings, point };
    return { replicaId, ...makeReport(summary, facts) };
  }

  /** Null where the image turned out to be unusable: another one may do. */
  async #attempt(plan: ServerPlan): Promise<ServerRestoreReport | null> {
    const { signal, target: path, ownership = {} } = this.#options;
    const system = this.#system;
    const imageBytes = plan.manifest.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const target = await inspectTarget(path, { system });
    const bytesNeeded = plan.replicas.reduce((sum, replica) => sum + replica.work.plainBytesMin, imageBytes);
    await checkFreeSpace({ system, target, bytesNeeded });
    this.#progress.begin(totalOf(plan));
    await using staging = await Staging.open(target, { system, ownership, directories: ANY_REPLICA });
    this.#left = null;
    const content = await keepingUnfinished(staging, this.#options, async () => {
      // First what is small: a damaged image is found before hours of work.
      const bytes = await this.#writeImage(plan, staging);
      if (bytes === null) {
        // Hours of an interrupted restore's work may have been taken over: of the same lines, whatever the image.
        this.#left = await staging.keep();
        return null;
      }
      this.#warnOf(plan);
      const databases = await this.#writeReplicas(plan, staging);
      signal.throwIfAborted();
      return { bytes, databases };
    });
    if (content === null) return null;
    const { bytes: image, databases: written } = content;
    this.#progress.enter('sync');
    await staging.publish();
    this.#progress.enter('done');
    if (staging.ownerWarning !== null) this.#warn(staging.ownerWarning);
    const report = this.report('restored', { ...plan, replicas: written.map(({ replica }) => replica) });
    const replicas = report.replicas.map((replica, index): ReplicaReport => {
      const { written: one } = written[index] as WrittenReplica;
      const { end: position, crcOnDisk, segments, plainBytes, reusedBytes } = one;
      return { ...replica, position, crcOnDisk, segments, plainBytes, reusedBytes };
    });
    const plainBytes = replicas.reduce((sum, replica) => sum + replica.plainBytes, image);
    return { ...report, replicas, plainBytes };
  }

  /** Plain bytes. */
  async #writeImage({ image, manifest, files }: ServerPlan, { content, system }: Staging): Promise<number | null> {
    const progress = this.#progress.meter();
    try {
      const { plainBytes } = await writeImage({
        image,
        manifest,
        files,
        directory: content,
        system,
        fetch: { ...this.#fetch, onFetched: (bytes) => void (progress.fetchedBytes += bytes) },
        onFile: (bytes) => progress.add({ bytes, objects: 1 }),
      });
      this.#progress.finish(imageAmount(manifest));
      return plainBytes;
    } catch (error) {
      if (!isUnusable(error)) throw error;
      this.#planner.noteUnusable(image, error);
      return null;
    }
  }

  async #writeReplicas({ replicas }: ServerPlan, staging: Staging): Promise<WrittenReplica[]> {
    const parent = join(staging.content, REPLICAS_DIR);
    const { system } = staging;
    await makeDirectoryOf(parent, new Set(replicas.map(({ replicaId }) => formatReplicaId(replicaId))));
    const done: WrittenReplica[] = [];
    for (const replica of replicas) {
      const { database, replicaId, work } = replica;
      const written = await database.follow(async (now) => {
        const entry = { directory: directoryOf(replicaId), ...database.lineOf(now) };
        const directory = await staging.claim(entry);
        return { summary: planFacts(now), ...(await database.write(now, { directory, system })) };
      });
      for (const warning of written.warnings) database.warn(warning);
      this.#progress.finish({ bytes: work.workBytes, objects: work.workObjects });
      done.push({ replica: { ...replica, summary: written.summary }, written });
    }
    await fsyncDirectory(parent);
    return done;
  }

  #warnOf({ missing, passedOver, image }: ServerPlan): void {
    for (const { replicaId, error } of missing) {
      this.#warn(
        `Replica ${replicaId} is NOT restored: ${error.message}. The control database still names it: a server that is ` +
          `started on this directory silently creates it anew, empty.`,
      );
    }
    for (const { image: newer, missing: ids } of passedOver) {
      this.#warn(
        `The image of ${formatTimestamp(newer.image.time)} is newer than the one that is used, of ` +
          `${formatTimestamp(image.image.time)}: it names databases that have no recovery point yet (replica ${ids.join(', ')}). ` +
          'What was published, renamed or deleted between the two is not restored.',
      );
    }
  }

  #warn(message: string): void {
    this.#warnings.push(message);
    this.#options.log.warn(message);
  }
}

/** An older image may have databases that a newer one does not: what none needs is removed before any is written. */
const ANY_REPLICA = { has: (directory: string): boolean => dirname(directory) === REPLICAS_DIR };

/** Below the content. */
const directoryOf = (replicaId: bigint): string => join(REPLICAS_DIR, formatReplicaId(replicaId));

const imageAmount = ({ files, programs }: ServerPlan['manifest']): { bytes: number; objects: number } => ({
  bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
  objects: files.length + programs.length,
});

function totalOf({ manifest, replicas }: ServerPlan): { bytes: number; objects: number } {
  const { bytes, objects } = imageAmount(manifest);
  return {
    bytes: replicas.reduce((sum, { work }) => sum + work.workBytes, bytes),
    objects: replicas.reduce((sum, { work }) => sum + work.workObjects, objects),
  };
}

/** Databases that an interrupted restore wrote, and this one does not, are removed. */
async function makeDirectoryOf(path: string, names: ReadonlySet<string>): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    for (const name of await readdir(path)) {
      if (!names.has(name)) await rm(join(path, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw localFileError('prepare', path, error);
  }
}
