/**
 * When to try again, how long to wait, when to stop, and how loudly to say so: one policy for all calls to a store.
 * State is shared by the calls of one client, so that a hundred failing calls do not write a hundred warnings.
 */
import { Backoff } from '../../core/backoff.ts';
import type { Clock } from '../../core/clock.ts';
import { errorMessage, ReplicateError } from '../../core/errors.ts';
import { type Log, silentLog } from '../../core/log.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  /**
   * Stop after this long without any answer to any call; one call alone after ten times that. Without it (a daemon)
   * only the signal ends a call.
   */
  readonly giveUpAfterMs?: number | undefined;
  readonly log?: Log;
}

export interface AttemptOptions {
  /** `put log/0/…`: for the log. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

const WARN_AFTER_MS = 10_000;
const WARN_EVERY_MS = 60_000;
const ONE_CALL_FACTOR = 10;

export const shouldRetry = (error: unknown): boolean => error instanceof ReplicateError && error.shouldRetry();

export class Patience {
  readonly #options: RetryOptions;
  readonly #log: Log;
  #lastAnswerMs = Number.NEGATIVE_INFINITY;
  #lastWarningMs = Number.NEGATIVE_INFINITY;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  /** The store has answered something: it is there. */
  answered(): void {
    this.#lastAnswerMs = this.#options.clock.monotonic();
  }

  begin(options: AttemptOptions): Trial {
    const { clock, random } = this.#options;
    return new Trial(this, clock.monotonic(), random === undefined ? new Backoff() : new Backoff({ random }), options);
  }

  /** Does `work` until it succeeds. @throws its error when trying again is no use, or patience is at its end */
  async until<T>(options: AttemptOptions, work: (failures: number) => Promise<T>): Promise<T> {
    const trial = this.begin(options);
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
  async waitAfter(error: unknown, { sinceMs, backoff, what, signal }: FailedTrial): Promise<void> {
    signal?.throwIfAborted();
    if (!shouldRetry(error)) {
      if (error instanceof ReplicateError) this.answered();
      throw error;
    }
    const { clock, giveUpAfterMs = Number.POSITIVE_INFINITY } = this.#options;
    const now = clock.monotonic();
    const remainingMs = Math.min(
      Math.max(sinceMs, this.#lastAnswerMs) + giveUpAfterMs - now,
      sinceMs + giveUpAfterMs * ONE_CALL_FACTOR - now,
    );
    if (remainingMs <= 0) throw error;
    const delayMs = Math.min(backoff.nextDelayMs(), remainingMs);
    this.#speak(error, { what, failingMs: now - sinceMs, failures: backoff.failures, delayMs });
    await clock.sleep(delayMs, { signal });
  }

  #speak(error: unknown, facts: { what: string; failingMs: number; failures: number; delayMs: number }): void {
    const { code, hint } = error as ReplicateError;
    const all = { ...facts, code, reason: errorMessage(error), ...(hint === undefined ? {} : { hint }) };
    const now = this.#options.clock.monotonic();
    if (facts.failingMs >= WARN_AFTER_MS && now - this.#lastWarningMs >= WARN_EVERY_MS) {
      this.#lastWarningMs = now;
      this.#log.warn('calls to the store fail; trying again', all);
    } else this.#log.debug('a call to the store failed; trying again', all);
  }

  /** After a warning, the good news too. */
  recovered({ what, sinceMs }: { what: string; sinceMs: number }): void {
    this.answered();
    if (this.#lastWarningMs < sinceMs) return;
    this.#lastWarningMs = Number.NEGATIVE_INFINITY;
    this.#log.info('the store answers again', { what, failedMs: this.#options.clock.monotonic() - sinceMs });
  }

  now(): number {
    return this.#options.clock.monotonic();
  }
}

interface FailedTrial extends AttemptOptions {
  readonly sinceMs: number;
  readonly backoff: Backoff;
}

/** One call's attempts. Progress in between (bytes of a body, keys of a listing) begins its time anew. */
export class Trial {
  readonly #patience: Patience;
  readonly #backoff: Backoff;
  readonly #options: AttemptOptions;
  #sinceMs: number;

  constructor(patience: Patience, sinceMs: number, backoff: Backoff, options: AttemptOptions) {
    this.#patience = patience;
    this.#sinceMs = sinceMs;
    this.#backoff = backoff;
    this.#options = options;
  }

  get failures(): number {
    return this.#backoff.failures;
  }

  async fail(error: unknown): Promise<void> {
    await this.#patience.waitAfter(error, { ...this.#options, sinceMs: this.#sinceMs, backoff: this.#backoff });
  }

  succeed(): void {
    if (this.#backoff.failures > 0) this.#patience.recovered({ what: this.#options.what, sinceMs: this.#sinceMs });
    else this.#patience.answered();
    this.#backoff.reset();
    this.#sinceMs = this.#patience.now();
  }
}
