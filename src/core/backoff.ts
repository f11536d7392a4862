/** One way to wait before trying again: exponential, capped, with full jitter in its upper half. */

export interface BackoffOptions {
  readonly firstMs?: number;
  readonly maxMs?: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor({ firstMs = 200, maxMs = 30_000, random = Math.random }: BackoffOptions = {}) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** Failures in a row so far. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts one more failure and gives the milliseconds to wait. */
  nextDelayMs(): number {
    const ceiling = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return ceiling / 2 + (ceiling / 2) * this.#random();
  }

  reset(): void {
    this.#failures = 0;
  }
}
