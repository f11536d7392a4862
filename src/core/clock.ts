/** Time as a parameter: rooms take a Clock, so that tests and simulations own it. */
import { setTimeout as delay } from 'node:timers/promises';
import { micros, type Micros } from './types.ts';

export interface Clock {
  /** Wall clock, microseconds since 1970 UTC. It may jump: for people and documents, never for measuring. */
  now(): Micros;
  /** Milliseconds that never go back, from an arbitrary start. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds. @throws the signal's reason when it is aborted first */
  sleep(ms: number, options?: { signal?: AbortSignal | undefined }): Promise<void>;
}

export const systemClock: Clock = {
  now: () => micros(BigInt(Date.now()) * 1000n),
  monotonic: () => performance.now(),
  async sleep(ms, { signal } = {}) {
    signal?.throwIfAborted();
    try {
      await delay(ms, undefined, signal ? { signal } : {});
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
