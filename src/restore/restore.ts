/**
 * Restores a database's newest recovery point, or the asked one, into a directory: plan, fetch, verify, write, publish.
 *
 * Invariants: nothing is written where something is; the target appears whole, or not at all; what it holds was proven;
 * it ends at the point that was planned first, however the store changes meanwhile.
 */
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { assert, errorMessage, primaryError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { databaseExists } from './database-exists.ts';
import { checkBudget } from './check-budget.ts';
import { DatabaseRestore } from './database-restore.ts';
import { checkFreeSpace } from './free-space.ts';
import type { OwnershipWish } from './ownership.ts';
import type { RestorePlan } from './plan-types.ts';
import type { PointRequest } from './point-request.ts';
import { ProgressMeter } from './progress-meter.ts';
import { makeReport, planFacts, type RestoreProgress, type RestoreReport } from './restore-report.ts';
import { keepingUnfinished } from './keep-unfinished.ts';
import { Staging } from './staging.ts';
import { checkTargetOutsideStore, inspectTarget } from './target.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';
import type { OnUnfinished } from './unfinished.ts';

export type { RestoreProgress, RestoreReport } from './restore-report.ts';

export const DEFAULT_PARALLELISM = 8;

export interface RestoreOptions {
  readonly client: ReplicaClient;
  /** The replica directory to make; absent or empty. */
  readonly target: string;
  /** Plan and check, and write nothing. */
  readonly dryRun?: boolean;
  /** Do nothing where the target holds a database already. */
  readonly ifDatabaseAbsent?: boolean;
  /** Another line than the head's: a generation's name or number. */
  readonly generation?: string | undefined;
  /** Where to end; default: the newest recovery point. */
  readonly point?: PointRequest | undefined;
  /** Requests at once. */
  readonly parallelism?: number;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** Whose the files will be. Default: whose the target is, or the directory around it. */
  readonly ownership?: OwnershipWish;
  readonly progress?: (progress: RestoreProgress) => void;
  /** Told what is left where the restore is stopped or its store goes away. Without it nothing is left. */
  readonly onUnfinished?: OnUnfinished | undefined;
  readonly signal: AbortSignal;
  /** For tests: what the operating system says of the target. */
  readonly system?: TargetSystem;
}

/**
 * @throws NoBackupError, CorruptionError, UnrecoverablePointError, TargetInUseError, LocalFileError, UsageError,
 * ConfigurationError, and what the client throws. After a failure or abort nothing of the target is left, but for
 * what `onUnfinished` is told of.
 */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { client, target: path, system = realTargetSystem, budget } = options;
  checkBudget(budget);
  await checkTargetOutsideStore(path, client.url);
  const run = new RestoreRun(options, system);
  if (options.ifDatabaseAbsent === true && (await databaseExists(path))) return run.report('exists', null);
  // Refused before the store is asked; what is there is looked at again whenever something of it is to be cleared.
  await inspectTarget(path, { system });
  return await run.restore();
}

class RestoreRun {
  readonly #options: RestoreOptions;
  readonly #system: TargetSystem;
  readonly #begin: number;
  readonly #progress: ProgressMeter;
  readonly #database: DatabaseRestore;

  constructor(options: RestoreOptions, system: TargetSystem) {
    const {
      client,
      budget,
      signal,
      parallelism = DEFAULT_PARALLELISM,
      clock,
      progress,
      generation,
      point,
      log,
    } = options;
    assert(parallelism >= 1, 'a restore needs one request at least');
    this.#options = options;
    this.#system = system;
    this.#begin = clock.monotonic();
    const meter = new ProgressMeter(progress);
    this.#progress = meter;
    const onFetched = (bytes: number): void => void (meter.fetchedBytes += bytes);
    const fetch = { client, budget, signal, parallelism, onFetched };
    this.#database = new DatabaseRestore({ fetch, generation, point, progress: meter, log });
  }

  async restore(): Promise<RestoreReport> {
    this.#progress.enter('plan');
    const plan = await this.#database.plan();
    if (this.#options.dryRun === true) return this.report('planned', plan);
    try {
      return await this.#restoreInto(plan);
    } catch (caught) {
      if (caught instanceof SuppressedError) {
        this.#database.warn(`What was written is left: ${errorMessage(caught.error)}.`);
      }
      throw primaryError(caught);
    }
  }

  report(outcome: RestoreReport['outcome'], plan: RestorePlan | null): RestoreReport {
    const { clock } = this.#options;
    const { fetchedBytes } = this.#progress;
    const durationMs = clock.monotonic() - this.#begin;
    return makeReport(plan && planFacts(plan), {
      outcome,
      fetchedBytes,
      durationMs,
      warnings: this.#database.warnings,
      point: this.#database.point,
    });
  }

  async #restoreInto({ plainBytesMin }: RestorePlan): Promise<RestoreReport> {
    const { signal, target: path, ownership = {} } = this.#options;
    const system = this.#system;
    // A plan may have taken minutes: another restore may have filled the target, a server be using it.
    const target = await inspectTarget(path, { system });
    await checkFreeSpace({ system, target, bytesNeeded: plainBytesMin });
    await using staging = await Staging.open(target, { system, ownership });
    const { plan, written } = await keepingUnfinished(staging, this.#options, async () => {
      const done = await this.#database.follow(async (now) => {
        const directory = await staging.claim({ directory: '', ...this.#database.lineOf(now) });
        return { plan: now, written: await this.#database.write(now, { directory, system: staging.system }) };
      });
      signal.throwIfAborted();
      return done;
    });
    await staging.publish();
    this.#progress.enter('done');
    for (const warning of written.warnings) this.#database.warn(warning);
    if (staging.ownerWarning !== null) this.#database.warn(staging.ownerWarning);
    const { end: position, crcOnDisk, segments, plainBytes, reusedBytes } = written;
    return { ...this.report('restored', plan), position, crcOnDisk, segments, plainBytes, reusedBytes };
  }
}
