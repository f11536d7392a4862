/**
 * When to try again, how long to wait, when to stop, and how loudly to say so: one policy for all calls to a store.
 * State is shared by the calls of one client, so that a hundred failing calls do not write a hundred warnings, a store
 * that asks to be left alone is left alone by all of them, and the first answer of one that was away wakes all that wait.
 */
import { Backoff } from '../../core/backoff.ts';
import type { Clock } from '../../core/clock.ts';
import { ReplicateError } from '../../core/errors.ts';
import { type Log, silentLog } from '../../core/log.ts';
import type { StoreOperation } from '../../core/status.ts';
import {
  ObjectNotFoundError,
  PreconditionFailedError,
  StoreNotFoundError,
  UnauthorizedError,
  UnavailableError,
} from '../replica-client.ts';
import { GivenUp, saysNothing } from './given-up.ts';
import { OutageVoice } from './outage-voice.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  /**
   * Stop after this long without any answer to any call; one call alone after ten times that. Without it (a daemon)
   * only the signal ends a call, and a refusal of what was allowed once is waited out too.
   */
  readonly giveUpAfterMs?: number | undefined;
  /** Of the store, where several clients ask it in one pass. Default: this client's own. */
  readonly givenUp?: GivenUp | undefined;
  readonly log?: Log;
}

export interface AttemptOptions {
  readonly operation: StoreOperation;
  /** `put log/0/…`: for the log. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

const ONE_CALL_FACTOR = 10;
/** A store that asks for more is asked again after this all the same: a backup that waits for a day is none. */
export const RETRY_AFTER_MS_MAX = 300_000;
/** So much later at most than a store asked for: whoever was told the same must not come at the same moment. */
const RETRY_AFTER_SPREAD = 0.1;

export const shouldRetry = (error: unknown): boolean => error instanceof ReplicateError && error.shouldRetry();

interface Sleeper {
  readonly failingSinceMs: number;
  wake(): void;
}

export class Patience {
  readonly #options: RetryOptions;
  readonly #voice: OutageVoice;
  readonly #givenUp: GivenUp;
  readonly #sleepers = new Set<Sleeper>();
  /** Operations that the store has let us do. */
  readonly #allowed = new Set<StoreOperation>();
  #lastAnswerMs = Number.NEGATIVE_INFINITY;
  /** Until then the store asked to be left alone. */
  #askedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#givenUp = options.givenUp ?? new GivenUp();
    this.#voice = new OutageVoice({ clock: options.clock, log: options.log ?? silentLog });
  }

  begin(options: AttemptOptions): Trial {
    const { random } = this.#options;
    return new Trial(this, random === undefined ? new Backoff() : new Backoff({ random }), options);
  }

  /** Does `work` until it succeeds. @throws its error when trying again is no use, or patience is at its end */
  async until<T>(options: AttemptOptions, work: (failures: number) => Promise<T>): Promise<T> {
    const trial = this.begin(options);
    if (this.#options.giveUpAfterMs === undefined) await this.#leaveAlone(options.signal);
    for (;;) {
      try {
        const answer = await work(trial.failures);
        trial.succeed();
        return answer;
      } catch (error) {
        await trial.fail(error);
      }
    }
  }

  /** Waits before the next attempt. @throws `error` when there is none */
  async waitAfter(error: unknown, trial: FailedTrial): Promise<void> {
    const { operation, what, sinceMs, failingSinceMs, backoff, signal } = trial;
    signal?.throwIfAborted();
    if (error instanceof ReplicateError && !error.shouldRetry()) this.#answered();
    if (error instanceof ObjectNotFoundError || error instanceof PreconditionFailedError) this.#allowed.add(operation);
    const refused = this.#isRefusalInService(error, operation);
    if (!(shouldRetry(error) || refused)) throw error;
    const { clock, giveUpAfterMs = Number.POSITIVE_INFINITY } = this.#options;
    const now = clock.monotonic();
    // What else was answered meanwhile makes no room in a store that is full.
    const heardMs = saysNothing(error) ? Math.max(sinceMs, this.#lastAnswerMs) : sinceMs;
    const patientMs = heardMs + giveUpAfterMs - now;
    if (patientMs <= 0) this.#givenUp.add(error);
    const remainingMs = Math.min(patientMs, sinceMs + giveUpAfterMs * ONE_CALL_FACTOR - now);
    if (remainingMs <= 0 || this.#givenUp.has(error)) throw error;
    this.#noteRetryAfter(error, now);
    const delayMs = Math.min(Math.max(backoff.nextDelayMs(), this.#askedUntilMs - now), remainingMs);
    const failures = backoff.failures;
    this.#voice.failed(error as ReplicateError, {
      what,
      failingMs: Math.round(now - failingSinceMs),
      failures,
      delayMs: Math.round(delayMs),
      refused,
    });
    const silent = !refused && !(error instanceof UnavailableError && error.answered);
    await this.#sleep(delayMs, { failingSinceMs, silent, signal });
  }

  /** After a warning, the good news too. */
  succeeded(operation: StoreOperation, failingSinceMs: number | null): void {
    this.#allowed.add(operation);
    this.#answered();
    if (failingSinceMs !== null) this.#voice.recovered(failingSinceMs);
  }

  now(): number {
    return this.#options.clock.monotonic();
  }

  /**
   * A service whose rights are taken away (keys rotated, a policy changed, a disk mounted read-only), or whose store is
   * (a disk that is not mounted), goes on asking, since somebody will give them back; one that was never let do it has
   * a mistake in its configuration, and stops.
   */
  #isRefusalInService(error: unknown, operation: StoreOperation): boolean {
    return (
      (error instanceof UnauthorizedError || error instanceof StoreNotFoundError) &&
      this.#options.giveUpAfterMs === undefined &&
      this.#allowed.has(operation)
    );
  }

  /** The store is there: whoever waits since it was last heard of need not wait for longer. */
  #answered(): void {
    const before = this.#lastAnswerMs;
    this.#lastAnswerMs = this.now();
    this.#givenUp.answered();
    for (const sleeper of this.#sleepers) if (sleeper.failingSinceMs > before) sleeper.wake();
  }

  #noteRetryAfter(error: unknown, now: number): void {
    if (!(error instanceof UnavailableError) || error.retryAfterMs === null) return;
    const spread = 1 + RETRY_AFTER_SPREAD * (this.#options.random ?? Math.random)();
    const until = now + Math.min(error.retryAfterMs, RETRY_AFTER_MS_MAX) * spread;
    this.#askedUntilMs = Math.max(this.#askedUntilMs, until);
  }

  async #leaveAlone(signal: AbortSignal | undefined): Promise<void> {
    const leftMs = this.#askedUntilMs - this.now();
    if (leftMs > 0) await this.#options.clock.sleep(leftMs, { signal });
  }

  async #sleep(
    ms: number,
    { failingSinceMs, silent, signal }: { failingSinceMs: number; silent: boolean; signal: AbortSignal | undefined },
  ): Promise<void> {
    const { clock } = this.#options;
    // One that has said "later" is not asked earlier because another call was let through.
    if (!silent) return clock.sleep(ms, { signal });
    const woken = new AbortController();
    const leave = (): void => woken.abort();
    const sleeper: Sleeper = { failingSinceMs, wake: leave };
    this.#sleepers.add(sleeper);
    signal?.addEventListener('abort', leave, { once: true });
    try {
      await clock.sleep(ms, { signal: woken.signal });
    } catch (error) {
      signal?.throwIfAborted();
      if (!woken.signal.aborted) throw error;
    } finally {
      this.#sleepers.delete(sleeper);
      signal?.removeEventListener('abort', leave);
    }
  }
}

interface FailedTrial extends AttemptOptions {
  readonly sinceMs: number;
  readonly failingSinceMs: number;
  readonly backoff: Backoff;
}

/** One call's attempts. Progress in between (bytes of a body, keys of a listing) begins its time anew. */
export class Trial {
  readonly #patience: Patience;
  readonly #backoff: Backoff;
  readonly #options: AttemptOptions;
  #sinceMs: number;
  /** When the first of the failures in a row came; null when the last attempt did not fail. */
  #failingSinceMs: number | null = null;

  constructor(patience: Patience, backoff: Backoff, options: AttemptOptions) {
    this.#patience = patience;
    this.#backoff = backoff;
    this.#options = options;
    this.#sinceMs = patience.now();
  }

  get failures(): number {
    return this.#backoff.failures;
  }

  async fail(error: unknown): Promise<void> {
    this.#failingSinceMs ??= this.#patience.now();
    await this.#patience.waitAfter(error, {
      ...this.#options,
      sinceMs: this.#sinceMs,
      failingSinceMs: this.#failingSinceMs,
      backoff: this.#backoff,
    });
  }

  succeed(): void {
    this.#patience.succeeded(this.#options.operation, this.#failingSinceMs);
    this.#failingSinceMs = null;
    this.#backoff.reset();
    this.#sinceMs = this.#patience.now();
  }
}
