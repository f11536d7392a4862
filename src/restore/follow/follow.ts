/**
 * A standby: restores into a directory, or goes on with what an earlier run left there, and appends what the store gets,
 * until it is told to end.
 *
 * Invariants: what is in the directory is always one that a server opens; it ends with commits of the head's line; no
 * commit is ever taken back, and none of another history added: then it stops and says so.
 */
import type { ByteBudget } from '../../core/byte-budget.ts';
import type { Clock } from '../../core/clock.ts';
import { aboutObject, ReplicateError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { StandbyStatus } from '../../core/status.ts';
import { formatPosition, micros } from '../../core/types.ts';
import type { LogObject } from '../../layout/keys.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import { checkBudget } from '../check-budget.ts';
import { databaseExists } from '../database-exists.ts';
import type { FetchOptions } from '../fetch-parts.ts';
import { UnusableObject } from '../follow-plan.ts';
import type { OwnershipWish } from '../ownership.ts';
import { restore, type RestoreProgress, type RestoreReport } from '../restore.ts';
import { checkTargetOutsideStore } from '../target.ts';
import type { OnUnfinished } from '../unfinished.ts';
import type { TargetSystem } from '../target-system.ts';
import { applyPieces, LeftBehindError } from './apply-pieces.ts';
import { bridgeGap, finishBridge } from './bridge-gap.ts';
import { clearTemporaries } from './clear-temporaries.ts';
import type { FollowPiece } from './decide.ts';
import type { DirectoryLock, LockDirectory } from './directory-lock.ts';
import { endsInVersion0, lineLeftBehind, logGone, notOurTail } from './follow-errors.ts';
import { LineWatch, type Look } from './line-watch.ts';
import { checkFloor, StandbyLog } from './standby-log.ts';
import { type StandbyPosition, writeStandbyPosition } from './standby-position.ts';
import { StandbyMeter } from './standby-meter.ts';
import { type StandbySystem, standbySystem } from './standby-system.ts';

/** While the line is behind, all of the store is looked at each time: seldom. */
const BEHIND_MS = 15_000;

export interface FollowOptions {
  readonly client: ReplicaClient;
  /** Absolute: a replica directory that is absent or empty, or a standby's. */
  readonly directory: string;
  readonly lock: LockDirectory;
  /** Between two questions to the store. */
  readonly intervalMs: number;
  readonly parallelism: number;
  readonly budget: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  readonly ownership?: OwnershipWish;
  readonly progress?: (progress: RestoreProgress) => void;
  /** Called once, when a restore into an absent or empty directory is done. */
  readonly onRestored?: (report: RestoreReport) => void;
  /** Told what is left of that restore where it is stopped; without it nothing is. */
  readonly onUnfinished?: OnUnfinished | undefined;
}

export class Standby {
  readonly #options: FollowOptions;
  readonly #meter: StandbyMeter;
  /** Whether there is a directory to be ended well. */
  #stands = false;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#meter = new StandbyMeter(options);
  }

  status(): StandbyStatus {
    return this.#meter.status();
  }

  /**
   * Runs until `signal` is aborted, which is its good end once there is a standby; before that its reason is thrown, and
   * nothing is left.
   *
   * @throws UnrecoverablePointError when the line left the standby behind; CorruptionError, TargetInUseError,
   * LocalFileError, and what `restore` throws
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#run(signal);
    } catch (error) {
      if (this.#stands && signal.aborted && error === signal.reason) return;
      if (error instanceof ReplicateError) this.#meter.failed(error);
      throw error;
    } finally {
      this.#meter.enter('stopped');
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { directory, client, budget, lock: lockDirectory, onRestored } = this.#options;
    checkBudget(budget);
    await checkTargetOutsideStore(directory, client.url);
    let report: RestoreReport | null = null;
    if (!(await databaseExists(directory))) {
      this.#meter.enter('restoring');
      report = await restore({ ...this.#options, target: directory, signal });
      // From here on a server opens it: a signal finds a standby, if one that has followed nothing yet.
      this.#stands = true;
      if (report.position !== null) this.#meter.reached(report.position);
      onRestored?.(report);
    }
    await using lock = await lockDirectory(directory);
    await clearTemporaries(directory);
    const own = await standbySystem(directory);
    await this.#stand({ lock, own, report, signal });
  }

  /** Anew after each snapshot that had to be put in. */
  async #stand(facts: StandFacts): Promise<never> {
    const { directory, log } = this.#options;
    const { lock, own, signal } = facts;
    for (let { report } = facts; ; report = null) {
      const floor = await finishBridge(directory, own);
      await using standbyLog = await this.#openLog({ floor, report, signal, system: own.system });
      this.#stands = true;
      log.info('standing by', { directory, position: formatPosition(standbyLog.position) });
      const parts = { lock, system: own.system, standbyLog, floor, meter: this.#meter };
      const following = new Following(this.#options, parts);
      const gap = await following.run(signal);
      const position = following.known ?? standbyLog.position;
      await lock.check();
      if (await bridgeGap({ ...this.#options, own, position, view: gap.view, signal })) continue;
      throw logGone({ directory, url: this.#options.client.url, position, ...gap });
    }
  }

  async #openLog({ floor, report, signal, system }: OpenFacts): Promise<StandbyLog> {
    const { directory } = this.#options;
    const standbyLog = await StandbyLog.open({ directory, system, signal });
    if (report?.position && report.position.crc !== standbyLog.position.crc) throw endsInVersion0(directory);
    checkFloor(standbyLog.position, floor, directory);
    // Zeros are space that a server made ready: nothing is lost with them.
    const { tail } = standbyLog;
    if (floor === null && tail !== null && tail !== 'zero') throw notOurTail(directory, tail);
    return standbyLog;
  }
}

interface StandFacts {
  readonly lock: DirectoryLock;
  readonly own: StandbySystem;
  /** Of the restore that came before; null where there was none. */
  readonly report: RestoreReport | null;
  readonly signal: AbortSignal;
}

interface OpenFacts extends Pick<StandFacts, 'report' | 'signal'> {
  readonly floor: StandbyPosition | null;
  readonly system: TargetSystem;
}

interface FollowingParts {
  readonly lock: DirectoryLock;
  readonly system: TargetSystem;
  readonly standbyLog: StandbyLog;
  readonly floor: StandbyPosition | null;
  readonly meter: StandbyMeter;
}

class Following {
  readonly #options: FollowOptions;
  readonly #parts: FollowingParts;
  readonly #watch: LineWatch;
  /** Of the log's last commit, where it is known which object it came from. */
  #known: StandbyPosition | null;
  #isNoted = false;

  constructor(options: FollowOptions, parts: FollowingParts) {
    const { standbyLog, floor } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#watch = new LineWatch({ ...options, endAt: (tx) => standbyLog.endAt(tx) });
    // A longer log than what was noted may end in another segment.
    this.#known = floor?.tx === standbyLog.position.tx ? floor : null;
  }

  /** Where the standby stands, if it is proven to be on the line. */
  get known(): StandbyPosition | null {
    return this.#known;
  }

  /** Until the log does not lead on. */
  async run(signal: AbortSignal): Promise<Extract<Look, { kind: 'gap' }>> {
    const { clock, intervalMs } = this.#options;
    const { meter, standbyLog } = this.#parts;
    meter.reached({ ...standbyLog.position, time: this.#known?.time ?? micros(0n) });
    for (;;) {
      signal.throwIfAborted();
      const { tx, crc } = standbyLog.position;
      const known = this.#known;
      const look = await this.#watch.look(
        { tx, crc, generation: known?.generation ?? null, segment: known?.segment ?? null },
        signal,
      );
      meter.looked({ newest: this.#watch.newest, generation: this.#watch.generation });
      this.#known ??= this.#placeOf(this.#watch.place);
      if (look.kind === 'apply') {
        await this.#apply(look.pieces, signal);
        continue;
      }
      if (look.kind === 'gap') return look;
      if (look.kind === 'fork') {
        const { directory, client } = this.#options;
        throw lineLeftBehind({ directory, url: client.url, position: standbyLog.position, common: look.common });
      }
      meter.waits(look);
      await clock.sleep(look.behind ? Math.max(intervalMs, BEHIND_MS) : intervalMs, { signal });
    }
  }

  /** What the object that ends at the standby's position tells of it; null where there is none. */
  #placeOf(object: LogObject | null): StandbyPosition | null {
    const { standbyLog, meter } = this.#parts;
    if (object === null) return null;
    const { time, generation, segment } = object;
    const place = { ...standbyLog.position, time, generation, segment };
    meter.reached(place);
    return place;
  }

  /** Before anything is appended: what stands behind this position from now on is ours. */
  async #noteStart(): Promise<void> {
    const { directory } = this.#options;
    const { system, standbyLog, floor } = this.#parts;
    if (floor !== null || this.#isNoted) return;
    const unknown = { ...standbyLog.position, time: micros(0n), generation: null, segment: null };
    await writeStandbyPosition(this.#known ?? unknown, { directory, system });
    this.#isNoted = true;
  }

  async #apply(pieces: readonly FollowPiece[], signal: AbortSignal): Promise<void> {
    const { client, budget, parallelism, directory } = this.#options;
    const { lock, system, standbyLog, meter } = this.#parts;
    await lock.check();
    const fetch: FetchOptions = { client, budget, parallelism, signal };
    try {
      await applyPieces(standbyLog, pieces, {
        fetch,
        segment: this.#known?.segment ?? null,
        onBegin: () => this.#noteStart(),
        onDurable: async (position) => {
          await writeStandbyPosition(position, { directory, system });
          this.#known = position;
          meter.reached(position);
          await lock.check();
        },
        onObject: ({ object }) => meter.applied(object),
      });
    } catch (error) {
      if (error instanceof LeftBehindError) {
        const { position } = standbyLog;
        throw lineLeftBehind({ directory, url: client.url, position, common: null });
      }
      if (!(error instanceof UnusableObject)) throw error;
      this.#options.log.warn(
        `the standby goes on without an object that cannot be used: ${aboutObject(error.key, error.reason)}`,
      );
      this.#watch.forget(error.key, error.reason);
    }
  }
}
