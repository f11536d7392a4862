/**
 * The restore of one database into a directory that somebody else publishes: plans, writes, and plans again without the
 * objects that turned out to be damaged or gone.
 *
 * Invariant: every plan ends at the point of the first one, on the line of the first one.
 */
import { aboutObject, assert, CorruptionError, errorMessage, primaryError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { TimedPosition } from '../core/status.ts';
import { formatTimestamp } from '../layout/time.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import type { FetchOptions } from './fetch-parts.ts';
import { type FollowedPlan, followPlan, isUnusable, UnusableObject } from './follow-plan.ts';
import { partBytesFor } from './part-stream.ts';
import { withNearest } from './nearest-points.ts';
import { lineEnd, planRestore } from './plan.ts';
import type { ManifestFacts, PlanInput, PlannedManifest, RestorePlan, StoreView } from './plan-types.ts';
import type { PointRequest, ResolvedPoint } from './point-request.ts';
import type { ProgressMeter } from './progress-meter.ts';
import { readManifestHeader, readPlace } from './read-snapshot.ts';
import { readStore } from './read-store.ts';
import { type ResolveContext, resolvePoint } from './resolve-point.ts';
import { decodeSnapshotCommit } from './snapshot-commit.ts';
import type { TargetSystem } from './target-system.ts';

/** How many objects may turn out damaged or gone before a restore gives up. */
const ATTEMPTS_MAX = 32;

export interface DatabaseRestoreOptions {
  /** Its client's prefix is the database's. */
  readonly fetch: FetchOptions;
  /** Another line than the head's: a generation's name or number. */
  readonly generation?: string | undefined;
  /** Default: the newest. */
  readonly point?: PointRequest | undefined;
  readonly progress: ProgressMeter;
  readonly log: Log;
}

export class DatabaseRestore {
  /** What an operator must hear of although the restore succeeded: whole sentences. */
  readonly warnings: string[] = [];
  readonly #options: DatabaseRestoreOptions;
  readonly #manifests = new Map<string, ManifestFacts>();
  readonly #unusable = new Map<string, Error>();
  /** Of the first plan: what every later one keeps. */
  #goal: Pick<RestorePlan, 'generation' | 'target'> | null = null;
  #plan: RestorePlan | null = null;
  #point: ResolvedPoint | null = null;
  /** Objects that were listed and were not there any more. */
  #gone = 0;

  constructor(options: DatabaseRestoreOptions) {
    this.#options = options;
  }

  /**
   * The first plan, which fixes line and point.
   *
   * @param view of the store, where somebody has read it already
   * @throws NoBackupError, CorruptionError, UnrecoverablePointError, UsageError, and what the client throws
   */
  async plan(view?: StoreView): Promise<RestorePlan> {
    const { point, generation } = this.#options;
    let seen = view;
    const plan = await this.#despiteRetention(async (isAgain) => {
      if (isAgain) seen = undefined;
      return point ? await this.#planTo(point, seen) : await this.#makePlan({ generation }, seen);
    });
    this.#plan = plan;
    this.#goal = { generation: plan.generation, target: plan.target };
    // Who asks for a point knows that there is more.
    if (point === undefined) this.#warnAbandoned(plan);
    const isToEnd = point === undefined || (point.kind === 'timestamp' && this.#point?.next === null);
    if (isToEnd) this.#warnBeyond(plan);
    return plan;
  }

  /** Of the restored database: what `Staging.claim` must know of it to tell whether what is there may be gone on with. */
  lineOf({ generation }: RestorePlan): { readonly source: string; readonly generation: string } {
    return { source: this.#options.fetch.client.url, generation };
  }

  /** What the asked point was resolved to by `plan`; null where none was asked for. */
  get point(): ResolvedPoint | null {
    return this.#point;
  }

  async #planTo(request: PointRequest, view: StoreView | undefined): Promise<RestorePlan> {
    const { fetch, log, progress } = this.#options;
    const seen = view ?? (await readStore({ ...fetch, log }));
    const generation = lineEnd({ source: fetch.client.url, view: seen, generation: this.#options.generation });
    const context: ResolveContext = {
      view: seen,
      generation,
      fetch,
      manifests: this.#manifests,
      unusable: this.#unusable,
      noteUnusable: (key, reason) => this.#noteUnusable(key, reason),
      readManifest: (manifest) => this.#readManifest(manifest),
      onSearched: (bytes) => progress.search(bytes),
    };
    this.#point = await resolvePoint(request, context);
    try {
      return await this.#makePlan({ generation, target: this.#point.target }, seen);
    } catch (error) {
      throw withNearest(error, this.#point.target, context);
    }
  }

  /** Frees the plan, which names every object of a log: it is made anew, to the same point, when it is followed. */
  forget(): void {
    this.#plan = null;
    this.#manifests.clear();
  }

  /**
   * Calls `attempt` with the plan, and again with another one as long as an object of it turns out to be unusable. What
   * a failed attempt wrote is the attempt's to remove.
   *
   * @throws CorruptionError, UnrecoverablePointError, and what `attempt` throws
   */
  async follow<T>(attempt: (plan: RestorePlan) => Promise<T>): Promise<T> {
    // The head may move on to another generation meanwhile: this restore does not.
    const goal = this.#goal ?? (await this.plan());
    let plan = this.#plan ?? (await this.#despiteRetention(() => this.#makePlan(goal)));
    this.#plan = null;
    const { generation, target } = goal;
    for (let count = 1; ; count += 1) {
      try {
        return await attempt(plan);
      } catch (caught) {
        const error = primaryError(caught);
        if (caught instanceof SuppressedError) this.warn(`What was written is left: ${errorMessage(caught.error)}.`);
        if (!(error instanceof UnusableObject)) throw error;
        if (count === ATTEMPTS_MAX) throw giveUp(error);
        this.#noteUnusable(error.key, error.reason);
      }
      plan = await this.#despiteRetention(() => this.#planAgain({ generation, target }));
    }
  }

  /**
   * A listing is old as soon as it is there: where an object of it is gone and there is no plan without it, a longer one
   * may hold the same commits by now, and only a new listing tells. `make` reads the store anew.
   */
  async #despiteRetention(make: (isAgain: boolean) => Promise<RestorePlan>): Promise<RestorePlan> {
    for (let count = 1; ; count += 1) {
      const gone = this.#gone;
      try {
        return await make(count > 1);
      } catch (error) {
        if (this.#gone === gone || count === ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Without what turned out to be unusable. */
  async #planAgain(goal: Pick<RestorePlan, 'generation' | 'target'>): Promise<RestorePlan> {
    const { fetch, log } = this.#options;
    const view = await readStore({ ...fetch, log });
    try {
      return await this.#makePlan(goal, view);
    } catch (error) {
      const known = { manifests: this.#manifests, unusable: this.#unusable };
      throw withNearest(error, goal.target, { view, generation: goal.generation, ...known });
    }
  }

  /**
   * Writes what was planned into an existing directory, and goes on with what an earlier attempt at the same line left
   * there.
   *
   * @throws UnusableObject, LocalFileError
   */
  async write(
    plan: RestorePlan,
    { directory, system }: { readonly directory: string; readonly system: TargetSystem },
  ): Promise<FollowedPlan> {
    const { fetch, progress, log } = this.#options;
    progress.begin(plan);
    const partBytes = partBytesFor(fetch.budget.bytesMax, fetch);
    const written = await followPlan(plan, { directory, system, fetch, partBytes, progress, goesOn: true });
    const { end, reusedBytes, plainBytes } = written;
    if (reusedBytes > 0) log.info('went on with what an interrupted attempt had written', { reusedBytes, plainBytes });
    assert(end.tx === plan.target.tx && end.crc === plan.target.crc, 'a restore ends where it was planned');
    this.#checkTime(end);
    return written;
  }

  /** Names told which commits are early enough; now it is the commits themselves. @throws CorruptionError */
  #checkTime({ tx, time }: TimedPosition): void {
    const { point } = this.#options;
    if (point?.kind !== 'timestamp' || time <= point.time) return;
    throw new CorruptionError(
      `transaction ${tx} is of ${formatTimestamp(time)}, later than what is asked for: a name in the store told another time`,
      { facts: { tx }, hint: 'Run with -tx and the transaction that is wanted instead.' },
    );
  }

  warn(message: string): void {
    this.warnings.push(message);
    this.#options.log.warn(message);
  }

  /** Reads the store anew unless `view` tells of it, and as many manifests as the planner asks for. */
  async #makePlan(
    { generation, target }: Pick<PlanInput, 'generation' | 'target'>,
    view?: StoreView,
  ): Promise<RestorePlan> {
    const { fetch, log } = this.#options;
    const seen = view ?? (await readStore({ ...fetch, log }));
    for (;;) {
      const known = { manifests: this.#manifests, unusable: this.#unusable };
      const outcome = planRestore({ source: fetch.client.url, view: seen, ...known, generation, target });
      if (outcome.kind === 'plan') return outcome.plan;
      await this.#readManifest(outcome.manifest);
    }
  }

  async #readManifest(manifest: PlannedManifest): Promise<void> {
    const { manifestKey: key, tx } = manifest;
    const { fetch } = this.#options;
    try {
      const header = await readManifestHeader(manifest, fetch);
      const bytes = header.commit && (await readPlace(header.commit, fetch));
      this.#manifests.set(key, { header, commit: bytes && decodeSnapshotCommit(bytes, { tx, key }) });
    } catch (error) {
      if (!isUnusable(error)) throw error;
      this.#noteUnusable(key, error);
    }
  }

  #noteUnusable(key: string, reason: Error): void {
    this.#unusable.set(key, reason);
    if (reason instanceof ObjectNotFoundError) this.#gone += 1;
    this.warn(`The restore goes on without an object that cannot be used: ${aboutObject(key, reason)}.`);
  }

  /** A crash leaves such objects, and so does the loss of one: names do not tell which it was. */
  #warnBeyond({ beyond, generation, target: { tx } }: RestorePlan): void {
    if (beyond === null) return;
    const { objects, last } = beyond;
    this.warn(
      `${objects === 1 ? 'One log object' : `${objects} log objects`} of generation ${generation}, up to transaction ${last}, ` +
        `cannot be used: what follows transaction ${tx} is not stored. That is so while they are being uploaded and after ` +
        'a crash; otherwise something was removed from the store.',
    );
  }

  #warnAbandoned({ abandoned, target }: RestorePlan): void {
    for (const { generation, databaseIdentity, last } of abandoned) {
      this.warn(
        `Generation ${generation} of another line (database ${databaseIdentity ?? 'unknown'}) holds later commits, up to ` +
          `transaction ${last.tx} of ${formatTimestamp(last.time)}; this restore ends at ${target.tx}.`,
      );
    }
  }
}

const giveUp = ({ key, reason }: UnusableObject): CorruptionError =>
  new CorruptionError(`${ATTEMPTS_MAX} objects are damaged or gone, the last is ${key}: ${reason.message}`, {
    cause: reason,
    facts: { key },
  });
