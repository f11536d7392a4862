/**
 * Restores a database's newest recovery point into a directory: plan, fetch, verify, write, publish.
 *
 * Invariants: nothing is written where something is; the target appears whole, or not at all; what it holds was proven;
 * it ends at the point that was planned first, however the store changes meanwhile.
 */
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { assert, ConfigurationError, CorruptionError, errorMessage, primaryError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { formatTimestamp } from '../layout/time.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { databaseExists } from './database-exists.ts';
import type { FetchOptions } from './fetch-parts.ts';
import { followPlan, isUnusable, UnusableObject } from './follow-plan.ts';
import { formatBytes } from './format-bytes.ts';
import { checkFreeSpace } from './free-space.ts';
import { partBytesFor } from './part-stream.ts';
import { planRestore } from './plan.ts';
import type { ManifestFacts, PlanInput, PlannedManifest, RestorePlan } from './plan-types.ts';
import { ProgressMeter } from './progress-meter.ts';
import { readManifestHeader, readPlace } from './read-snapshot.ts';
import { readStore } from './read-store.ts';
import { type RestoreProgress, type RestoreReport, summarizePlan } from './restore-report.ts';
import { decodeSnapshotCommit } from './snapshot-commit.ts';
import { Staging } from './staging.ts';
import { checkTargetOutsideStore, inspectTarget } from './target.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';

export type { RestoreProgress, RestoreReport } from './restore-report.ts';

export const DEFAULT_PARALLELISM = 8;
/** Below, one page of a snapshot and one part of a log object would not fit side by side. */
export const BUDGET_BYTES_MIN = 8 * 1024 * 1024;
/** How many objects may turn out damaged or gone before a restore gives up. */
const ATTEMPTS_MAX = 32;

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
  /** Requests at once. */
  readonly parallelism?: number;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  readonly progress?: (progress: RestoreProgress) => void;
  readonly signal: AbortSignal;
  /** For tests: what the operating system says of the target. */
  readonly system?: TargetSystem;
}

/**
 * @throws NoBackupError, CorruptionError, UnrecoverablePointError, TargetInUseError, LocalFileError, UsageError,
 * ConfigurationError, and what the client throws. After a failure or abort nothing of the target is left.
 */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { client, target: path, system = realTargetSystem, budget } = options;
  if (budget.bytesMax < BUDGET_BYTES_MIN) {
    throw new ConfigurationError(`a memory budget of ${formatBytes(budget.bytesMax)} is too small for a restore`, {
      hint: `Give it at least ${formatBytes(BUDGET_BYTES_MIN)} with -memory.`,
    });
  }
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
  readonly #fetch: FetchOptions;
  readonly #partBytes: number;
  readonly #warnings: string[] = [];
  readonly #manifests = new Map<string, ManifestFacts>();
  readonly #unusable = new Map<string, Error>();

  constructor(options: RestoreOptions, system: TargetSystem) {
    const { client, budget, signal, parallelism = DEFAULT_PARALLELISM, clock, progress } = options;
    assert(parallelism >= 1, 'a restore needs one request at least');
    this.#options = options;
    this.#system = system;
    this.#begin = clock.monotonic();
    this.#progress = new ProgressMeter(progress);
    const onFetched = (bytes: number): void => void (this.#progress.fetchedBytes += bytes);
    this.#fetch = { client, budget, signal, parallelism, onFetched };
    this.#partBytes = partBytesFor(budget.bytesMax);
  }

  async restore(): Promise<RestoreReport> {
    this.#progress.enter('plan');
    let plan = await this.#plan({ generation: this.#options.generation });
    // The head may move on to another generation meanwhile: this restore does not.
    const { generation, target: goal } = plan;
    this.#warnAbandoned(plan);
    if (this.#options.dryRun === true) return this.report('planned', plan);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(plan);
      } catch (caught) {
        const error = primaryError(caught);
        if (caught instanceof SuppressedError) this.#warn(`What was written is left: ${errorMessage(caught.error)}.`);
        if (!(error instanceof UnusableObject)) throw error;
        if (attempt === ATTEMPTS_MAX) throw this.#giveUp(error);
        this.#noteUnusable(error.key, error.reason);
      }
      plan = await this.#plan({ generation, target: goal });
    }
  }

  report(outcome: RestoreReport['outcome'], plan: RestorePlan | null): RestoreReport {
    const { clock } = this.#options;
    const summary = plan && summarizePlan(plan);
    return {
      outcome,
      generation: plan?.generation ?? null,
      databaseIdentity: plan?.databaseIdentity ?? null,
      snapshot: plan?.snapshot?.tx ?? null,
      position: plan?.target ?? null,
      segments: summary?.segments ?? 0,
      plainBytes: 0,
      fetchedBytes: this.#progress.fetchedBytes,
      durationMs: clock.monotonic() - this.#begin,
      warnings: this.#warnings,
      plan: summary,
    };
  }

  /** Reads the store anew, and as many manifests as the planner asks for. */
  async #plan({ generation, target }: Pick<PlanInput, 'generation' | 'target'>): Promise<RestorePlan> {
    const { client, signal, log } = this.#options;
    const view = await readStore({ client, signal, log, parallelism: this.#fetch.parallelism });
    for (;;) {
      const known = { manifests: this.#manifests, unusable: this.#unusable };
      const outcome = planRestore({ source: client.url, view, ...known, generation, target });
      if (outcome.kind === 'plan') return outcome.plan;
      await this.#readManifest(outcome.manifest);
    }
  }

  async #readManifest(manifest: PlannedManifest): Promise<void> {
    const { manifestKey: key, tx } = manifest;
    try {
      const header = await readManifestHeader(manifest, this.#fetch);
      const bytes = header.commit && (await readPlace(header.commit, this.#fetch));
      this.#manifests.set(key, { header, commit: bytes && decodeSnapshotCommit(bytes, { tx, key }) });
    } catch (error) {
      if (!isUnusable(error)) throw error;
      this.#noteUnusable(key, error);
    }
  }

  async #attempt(plan: RestorePlan): Promise<RestoreReport> {
    const { signal, target: path } = this.#options;
    const system = this.#system;
    const { disk } = await inspectTarget(path, { system });
    await checkFreeSpace({ system, directory: disk, bytesNeeded: plan.plainBytesMin });
    this.#progress.begin(plan);
    // A plan may have taken minutes, an attempt hours: another restore may have filled the target, a server be using it.
    await using staging = await Staging.open(await inspectTarget(path, { system }));
    const written = await followPlan(plan, {
      directory: staging.content,
      system,
      fetch: this.#fetch,
      partBytes: this.#partBytes,
      progress: this.#progress,
    });
    assert(
      written.end.tx === plan.target.tx && written.end.crc === plan.target.crc,
      'a restore ends where it was planned',
    );
    signal.throwIfAborted();
    await staging.publish();
    this.#progress.enter('done');
    for (const warning of written.warnings) this.#warn(warning);
    if (staging.ownerWarning !== null) this.#warn(staging.ownerWarning);
    const { end: position, segments, plainBytes } = written;
    return { ...this.report('restored', plan), position, segments, plainBytes };
  }

  #noteUnusable(key: string, reason: Error): void {
    this.#unusable.set(key, reason);
    this.#warn(`${key} cannot be used, and the restore goes on without it: ${reason.message}.`);
  }

  #warnAbandoned({ abandoned, target }: RestorePlan): void {
    for (const { generation, databaseIdentity, last } of abandoned) {
      this.#warn(
        `Generation ${generation} of another line (database ${databaseIdentity ?? 'unknown'}) holds later commits, up to ` +
          `transaction ${last.tx} of ${formatTimestamp(last.time)}; this restore ends at ${target.tx}.`,
      );
    }
  }

  #warn(message: string): void {
    this.#warnings.push(message);
    this.#options.log.warn(message);
  }

  #giveUp({ key, reason }: UnusableObject): CorruptionError {
    return new CorruptionError(`${ATTEMPTS_MAX} objects are damaged or gone, the last is ${key}: ${reason.message}`, {
      cause: reason,
      facts: { key },
    });
  }
}
