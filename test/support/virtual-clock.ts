/** A clock that jumps: each sleep takes no real time and moves it on. For one actor at a time. */
import type { Clock } from '../../src/core/clock.ts';
import { micros } from '../../src/core/types.ts';

export class VirtualClock implements Clock {
  #ms = 0;
  #wallAheadMs = 0;

  now() {
    return micros(BigInt(Math.round((this.#ms + this.#wallAheadMs) * 1000)));
  }

  /** Moves the wall clock alone, back where negative. */
  setForth(ms: number): void {
    this.#wallAheadMs += ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  /** Moves time on at once. */
  skip(ms: number): void {
    this.#ms += ms;
  }

  async sleep(ms: number, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    signal?.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    this.#ms += ms;
  }
}
