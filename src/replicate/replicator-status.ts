/** What a replicator tells of itself: counters and positions, gathered as it works, as plain data. */
import type { Clock } from '../core/clock.ts';
import { errorMessage, ReplicateError } from '../core/errors.ts';
import type { DamageStatus, DatabaseState, DatabaseStatus, TimedPosition } from '../core/status.ts';
import { type Micros, micros, type TxOffset } from '../core/types.ts';
import type { TailPosition } from '../capture/commit-run.ts';
import type { LogDamagedError } from '../capture/log-damage.ts';
import type { GenerationReason } from '../layout/generation-document.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import type { LeaseMode } from './lease-mode.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import type { CutObject } from './log-object-cutter.ts';
import type { Started } from './take-head.ts';

/** Known times are kept for as many objects; older snapshots than that take the time of their own commit. */
const KNOWN_TIMES_MAX = 4096;

export class ReplicatorStatus {
  readonly #clock: Clock;
  readonly #names: { readonly database: string; readonly destination: string };
  readonly #knownTimes: { tx: TxOffset; time: Micros }[] = [];
  state: DatabaseState = 'waiting';
  storeAnswered = false;
  generation: string | null = null;
  generationReason: GenerationReason | null = null;
  readonly #generationsBegun: Partial<Record<GenerationReason, number>> = {};
  #damage: DamageStatus | null = null;
  #leaseMode: LeaseMode | null = null;
  newestSnapshot: TxOffset | null = null;
  /** Monotonic ms since when something local is not stored; null when all is. */
  unstoredSince: number | null = null;
  #readings = 0;
  #tail: (() => TailPosition) | null = null;
  #snapshotProblem: (() => string | null) | null = null;
  #lineStart: TxOffset | null = null;
  #stored: TimedPosition | null = null;
  #lastSuccess: Micros | null = null;
  #lastError: DatabaseStatus['lastError'] = null;
  readonly #counters = {
    commits: 0,
    logObjects: 0,
    logBytesPlain: 0,
    logBytesStored: 0,
    snapshots: 0,
    packs: 0,
    packBytesStored: 0,
  };

  constructor(names: { readonly database: string; readonly destination: string }, { clock }: { clock: Clock }) {
    this.#names = names;
    this.#clock = clock;
  }

  started({ lease, generation, isNew, stored, listedSnapshots, lineStart }: Started): void {
    const { reason, parent } = generation;
    this.state = 'streaming';
    this.storeAnswered = true;
    this.generation = generation.generation;
    this.generationReason = reason;
    this.#leaseMode = lease.mode;
    if (isNew) this.#generationsBegun[reason] = (this.#generationsBegun[reason] ?? 0) + 1;
    // Those beyond a parent point are another history's.
    const until = isNew ? (parent === null ? -1n : parent.position.tx) : null;
    this.newestSnapshot = listedSnapshots.snapshots.findLast((tx) => until === null || tx <= until) ?? null;
    this.#lineStart = lineStart;
    this.#stored = stored;
    this.#knownTimes.length = 0;
    if (stored !== null) this.#noteTime(stored);
    this.#succeeded();
  }

  /** Where the log is damaged; null once it is seen to be whole. */
  damaged(error: LogDamagedError | null): void {
    this.#damage = error && {
      file: formatSegmentName(error.damage.segment),
      byte: error.damage.at,
      tx: error.damage.nextTx,
      message: error.message,
    };
  }

  /** From now on the local position is where `tail` says reading goes on. */
  follow(tail: () => TailPosition): void {
    this.#tail = tail;
  }

  /** Where reading goes on; null before the first episode streams. */
  get tail(): TailPosition | null {
    return this.#tail?.() ?? null;
  }

  /** The log was read to its end, and all of it is stored. */
  caughtUp(): void {
    this.unstoredSince = null;
    this.#readings += 1;
  }

  /** Grows with each commit that is stored, and whenever the log was read to its end. */
  get progress(): number {
    return this.#counters.commits + this.#readings;
  }

  /** From now on `problem` says why a snapshot cannot be stored. */
  followSnapshots(problem: () => string | null): void {
    this.#snapshotProblem = problem;
  }

  get #local(): TimedPosition | null {
    const tail = this.#tail?.();
    if (tail === undefined || tail.nextTx === 0n) return null;
    return { tx: (tail.nextTx - 1n) as TxOffset, crc: tail.crc, time: tail.time };
  }

  storedObject(object: CutObject, stored: HeadPosition | null): void {
    this.#counters.logObjects += 1;
    this.#counters.commits += object.commits;
    this.#counters.logBytesPlain += object.plainBytes;
    this.#counters.logBytesStored += object.bytes ?? 0;
    this.#stored = stored;
    this.#noteTime(object.end);
    this.#succeeded();
  }

  storedPack(bytes: number): void {
    this.#counters.packs += 1;
    this.#counters.packBytesStored += bytes;
    this.#succeeded();
  }

  storedSnapshot(tx: TxOffset): void {
    this.#counters.snapshots += 1;
    this.newestSnapshot = tx;
    this.#succeeded();
  }

  failed(error: unknown): void {
    const code = error instanceof ReplicateError ? error.code : 'UNEXPECTED';
    this.#lastError = { code, message: errorMessage(error), at: this.#clock.now() };
  }

  /** The greatest known time in the line up to `tx`; 0 when none is known. */
  timeUpTo(tx: TxOffset): Micros {
    return this.#knownTimes.findLast((known) => known.tx <= tx)?.time ?? micros(0n);
  }

  snapshot(): DatabaseStatus {
    const local = this.#local;
    const stored = this.#stored;
    const behind = local === null ? 0n : local.tx - (stored?.tx ?? -1n);
    return {
      ...this.#names,
      state: this.state,
      storeAnswered: this.storeAnswered,
      generation: this.generation,
      generationReason: this.generationReason,
      generationsBegun: { ...this.#generationsBegun },
      damage: this.#damage,
      leaseMode: this.#leaseMode,
      local,
      stored,
      lagTransactions: behind > 0n ? Number(behind) : 0,
      lagSeconds: this.unstoredSince === null ? 0 : (this.#clock.monotonic() - this.unstoredSince) / 1000,
      lastSuccess: this.#lastSuccess,
      lastError: this.#lastError,
      newestSnapshot: this.newestSnapshot,
      snapshotProblem: this.#snapshotProblem?.() ?? null,
      unrestorableFrom: this.newestSnapshot === null && this.#lineStart !== 0n ? this.#lineStart : null,
      counters: { ...this.#counters },
    };
  }

  #noteTime({ tx, time }: { tx: TxOffset; time: Micros }): void {
    this.#knownTimes.push({ tx, time });
    if (this.#knownTimes.length > KNOWN_TIMES_MAX) this.#knownTimes.shift();
  }

  #succeeded(): void {
    this.#lastSuccess = this.#clock.now();
  }
}
