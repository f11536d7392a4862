/**
 * Puts all that the log holds beyond the stored position, as level-0 objects.
 *
 * Invariants: objects are cut in order and acknowledged in any order; `stored` is the end of the unbroken chain; at most
 * OBJECTS_IN_FLIGHT_MAX objects are under way; an object is sent again with the same name and bytes until its fate is
 * known (the client's retries) or the uploader has failed for good.
 */
import type { BudgetShare, ByteBudget } from '../core/byte-budget.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { AcknowledgedChain } from './acknowledged-chain.ts';
import type { HeadLease } from './head-lease.ts';
import type { CutObject, LogObjectCutter } from './log-object-cutter.ts';
import { OBJECT_PLAIN_BYTES_MAX, ObjectSize } from './object-size.ts';

export const OBJECTS_IN_FLIGHT_MAX = 8;
/** Frames that are read and compressed but not yet counted: the look-ahead of the encoder. */
const CUT_OVERHEAD_BYTES = 1024 * 1024;
/** What a log that keeps up needs for an object, and what one that does not can go on with. */
export const STEADY_BYTES_MAX = 2 * 1024 * 1024;

export interface LogUploaderOptions {
  readonly client: ReplicaClient;
  readonly lease: HeadLease;
  readonly cutter: LogObjectCutter;
  readonly budget: ByteBudget;
  /**
   * Kept for small objects, so that databases with much to send to a store that does not answer, which hold all of
   * `budget`, keep no other database from going on. Default: `budget`.
   */
  readonly steadyBudget?: ByteBudget | undefined;
  /** Null where nothing is stored in this line yet. */
  readonly stored: HeadPosition | null;
  /** Plain bytes that can be read now: a guess that bounds the memory taken. */
  readonly availableBytes: () => Promise<number>;
  /** Looks whether the source is still the one that was read: before anything more of it is stored. */
  readonly lookAround: () => Promise<void>;
  /** Whether no segment stood behind the one that is read when it looked. */
  readonly isInNewestSegment: () => boolean;
  readonly onStored: (object: CutObject, stored: HeadPosition | null) => void;
}

interface Sent {
  readonly acknowledged: Promise<void>;
  /** Whether nothing of what was there in this segment is left. */
  readonly caughtUp: boolean;
}

export class LogUploader {
  readonly #options: LogUploaderOptions;
  readonly #chain: AcknowledgedChain<HeadPosition | null>;
  readonly #size = new ObjectSize();

  constructor(options: LogUploaderOptions) {
    this.#options = options;
    this.#chain = new AcknowledgedChain(options.stored);
  }

  get stored(): HeadPosition | null {
    return this.#chain.stored;
  }

  /** Whether something was sent whose fate is not known: it may be there, or still arrive. */
  get hasUnknown(): boolean {
    return this.#chain.inFlight > 0;
  }

  /**
   * Resolves when all that was there at the call has been acknowledged, with the number of objects. What is appended
   * meanwhile waits for the next call: under steady load that is one object an interval. Rejects with the first failure.
   */
  async upload({ signal }: { signal: AbortSignal }): Promise<number> {
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const inFlight = new Set<Promise<void>>();
    let objects = 0;
    await this.#options.lookAround();
    try {
      for (;;) {
        while (inFlight.size >= OBJECTS_IN_FLIGHT_MAX) await Promise.race(inFlight);
        stop.throwIfAborted();
        const sent = await this.#sendNext(stop);
        if (sent === null) break;
        objects += 1;
        const settled: Promise<void> = sent.acknowledged
          .catch((error: unknown) => failed.abort(error))
          .finally(() => inFlight.delete(settled));
        inFlight.add(settled);
        // Behind the end of an older segment, or behind garbage that a crash left there, more may stand, or a hole.
        if (sent.caughtUp && this.#options.isInNewestSegment()) break;
      }
    } finally {
      await Promise.allSettled(inFlight);
    }
    stop.throwIfAborted();
    return objects;
  }

  /** Cuts an object and begins to send it; null at the end of the log. */
  async #sendNext(signal: AbortSignal): Promise<Sent | null> {
    const { cutter, availableBytes } = this.#options;
    const available = cutter.holdsLongCommit ? OBJECT_PLAIN_BYTES_MAX : await availableBytes();
    const share = await this.#takeMemory(Math.min(this.#size.plainBytesMax, available) + CUT_OVERHEAD_BYTES, signal);
    try {
      const plainBytesMax = Math.max(1, share.bytes - CUT_OVERHEAD_BYTES);
      const object = await cutter.next({ plainBytesMax, signal });
      if (object === null) {
        share[Symbol.dispose]();
        return null;
      }
      // Twice: a client may have to gather the frames into one buffer.
      share.shrinkTo(object.bytes === null ? share.bytes : 2 * object.bytes);
      const pending = this.#chain.begin(object.end);
      const acknowledged = this.#put(object, signal)
        .then(() => {
          pending.acknowledge();
          this.#options.onStored(object, this.stored);
        })
        .finally(() => share[Symbol.dispose]());
      if (object.readsSource) await acknowledged;
      const full = object.plainBytes >= plainBytesMax && plainBytesMax < available;
      return { acknowledged, caughtUp: !full && !object.cutShort };
    } catch (error) {
      share[Symbol.dispose]();
      throw error;
    }
  }

  async #takeMemory(wish: number, signal: AbortSignal): Promise<BudgetShare> {
    const { budget, steadyBudget = budget } = this.#options;
    if (wish <= STEADY_BYTES_MAX) return steadyBudget.take(wish, { signal });
    // Whoever has an object under way gets on, and may wait for the rest.
    if (this.#chain.inFlight > 0 || steadyBudget === budget) return budget.take(wish, { signal });
    return budget.tryTake(wish) ?? steadyBudget.take(STEADY_BYTES_MAX, { signal });
  }

  async #put(object: CutObject, signal: AbortSignal): Promise<void> {
    const { client, lease } = this.#options;
    await lease.ensureFresh(this.stored, { signal });
    const { attemptMs } = await client.put(object.key, object.body, { signal });
    // That may have taken hours, or this process was stopped meanwhile: whoever lost the head tells nothing as stored.
    await lease.ensureFresh(this.stored, { signal });
    this.#size.stored({ plainBytes: object.plainBytes, attemptMs });
  }
}
