/**
 * The lease on a database's backup: head.json, the only object that is ever overwritten.
 *
 * Invariants: after `take` has resolved, this session is the head's; before anything is stored the lease is at most
 * ttl/2 old (`ensureFresh`); a lease that was lost ends the writer for good (FencedError, at each later call too). What
 * a writer stores that has lost it without knowing lands in its own generation, behind the point where the next one
 * branched off, where no reader looks: the lease spares work and warns, that rule keeps lines apart.
 */
import type { Clock } from '../core/clock.ts';
import { assert, FencedError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { HeadDocument, HeadPosition } from '../layout/head-document.ts';
import { type ObjectVersion, PreconditionFailedError, type ReplicaClient } from '../replica/replica-client.ts';
import { readHead } from './head-lease-read.ts';
import { HeadPlace } from './head-lease-swap.ts';
import type { LeaseMode } from './lease-mode.ts';

export { readHead, type StoredHead } from './head-lease-read.ts';

export interface LeaseOptions {
  readonly client: ReplicaClient;
  readonly clock: Clock;
  readonly log: Log;
}

export interface TakeOptions {
  /** The version of the head that was read, or null where there was none. */
  readonly replaces: ObjectVersion | null;
  /** Default: what the client declares. */
  readonly mode?: LeaseMode | undefined;
  /** Ends renewals as well: they are shared, so that no single caller's signal may. */
  readonly signal?: AbortSignal | undefined;
}

interface WaitOptions {
  /** Ends the waiting alone. */
  readonly signal?: AbortSignal | undefined;
}

export class HeadLease {
  readonly #options: LeaseOptions;
  readonly #place: HeadPlace;
  readonly #lifetime: AbortSignal | undefined;
  /** Just before the last renewal was asked for. */
  #renewed: Instant;
  #renewing: Promise<void> | null = null;
  #released = false;
  #fenced: FencedError | null = null;

  private constructor(options: LeaseOptions, place: HeadPlace, { renewed, lifetime }: Beginning) {
    this.#options = options;
    this.#place = place;
    this.#renewed = renewed;
    this.#lifetime = lifetime;
  }

  /**
   * Puts `document` in the place of exactly what was read; in advisory mode as near to that as can be.
   *
   * @throws PreconditionFailedError when another writer was quicker
   */
  static async take(
    options: LeaseOptions,
    document: HeadDocument,
    { replaces, mode, signal }: TakeOptions,
  ): Promise<HeadLease> {
    const { client, clock, log } = options;
    const renewed = instant(clock);
    const found = mode ?? (client.conditional === 'full' ? 'exclusive' : 'advisory');
    const place = await HeadPlace.take({ client, clock }, document, { replaces, mode: found, signal });
    if (found === 'advisory') {
      log.warn('this store ignores conditional writes: nothing but reading keeps two writers apart', {
        hint: 'Make sure that only one process replicates to this destination. Every start begins a new generation.',
        generation: document.generation,
      });
    }
    return new HeadLease(options, place, { renewed, lifetime: signal });
  }

  get document(): HeadDocument {
    return this.#place.document;
  }

  get mode(): LeaseMode {
    return this.#place.mode;
  }

  /**
   * Renews the lease when its last renewal is older than ttl/2; to be awaited before each write.
   *
   * @param position the stored position now
   * @throws FencedError when another writer has taken the head
   */
  async ensureFresh(position: HeadPosition | null, options: WaitOptions = {}): Promise<void> {
    if (this.#fenced !== null) throw this.#fenced;
    if (ageMs(this.#renewed, this.#options.clock) < this.document.ttlMs / 2) return;
    await this.renew(position, options);
  }

  /** Renews now; calls at the same time share one renewal. @throws FencedError as ensureFresh */
  async renew(position: HeadPosition | null, { signal }: WaitOptions = {}): Promise<void> {
    assert(!this.#released, 'a lease that was released is renewed');
    if (this.#renewing === null) {
      const renewing = this.#replace({ position, released: false }, this.#lifetime).finally(() => {
        this.#renewing = null;
      });
      // Whoever waits is told; that nobody may be waiting any more makes it no unhandled rejection.
      renewing.catch(() => undefined);
      this.#renewing = renewing;
    }
    await unlessAborted(this.#renewing, signal);
  }

  /**
   * Hands over: the position is exact, and in exclusive mode the same owner may go on in this generation. In advisory
   * mode nobody may, so that the head is not marked.
   */
  async release(position: HeadPosition | null, { signal }: WaitOptions = {}): Promise<void> {
    this.#released = true;
    // How that renewal ends does not matter: this swap finds out the same.
    await this.#renewing?.catch(() => undefined);
    await this.#replace({ position, released: this.mode === 'exclusive' }, signal ?? this.#lifetime);
  }

  async #replace(change: Pick<HeadDocument, 'position' | 'released'>, signal: AbortSignal | undefined): Promise<void> {
    if (this.#fenced !== null) throw this.#fenced;
    const { clock, log } = this.#options;
    const renewed = instant(clock);
    const document: HeadDocument = { ...this.document, ...change, renewedAt: clock.now() };
    try {
      if (this.#released) await this.#place.replace(document, { signal });
      else await this.#place.renew(document, { signal });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      this.#fenced = await this.#fencedBy(error, signal);
      throw this.#fenced;
    }
    this.#renewed = renewed;
    log.debug('lease renewed', { generation: document.generation, released: document.released });
  }

  async #fencedBy(cause: PreconditionFailedError, signal: AbortSignal | undefined): Promise<FencedError> {
    const { client } = this.#options;
    const winner = (await readHead(client, { signal }))?.document;
    const who = winner
      ? `owner ${winner.owner} on ${winner.process.host} (process ${winner.process.pid}), in generation ${winner.generation}`
      : 'somebody who removed head.json';
    return new FencedError(`another writer has taken over the backup ${client.url}: ${who}`, {
      cause,
      hint: 'Only one process may replicate to a destination. Stop the other one, then start this one again.',
      facts: { url: client.url, generation: this.document.generation },
    });
  }
}

interface Beginning {
  readonly renewed: Instant;
  readonly lifetime: AbortSignal | undefined;
}

interface Instant {
  readonly monotonic: number;
  readonly wallMs: number;
}

const instant = (clock: Clock): Instant => ({
  monotonic: clock.monotonic(),
  wallMs: Number(clock.now() / 1000n),
});

/**
 * Ms since `from`, by whichever clock says more: the monotonic one stands still while a machine sleeps, and a wall clock
 * that was set forth only costs a renewal.
 */
function ageMs(from: Instant, clock: Clock): number {
  const now = instant(clock);
  return Math.max(now.monotonic - from.monotonic, now.wallMs - from.wallMs);
}

/** As `work`, unless `signal` is aborted first; the work goes on then. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
