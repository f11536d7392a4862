/** A process's clocks: the monotonic one is the scheduler's, the wall clock may be set. */
import type { Clock } from '../../src/core/clock.ts';
import { micros } from '../../src/core/types.ts';
import type { Mailbox, Scheduler } from './scheduler.ts';

/** 2026-01-01T00:00:00Z. */
export const EPOCH_MICROS = 1_767_225_600_000_000n;

export interface WallClock {
  offsetMs: number;
}

export function simClock(scheduler: Scheduler, { mailbox, wall }: { mailbox: Mailbox; wall: WallClock }): Clock {
  return {
    now: () => micros(EPOCH_MICROS + BigInt(Math.round((scheduler.nowMs + wall.offsetMs) * 1000))),
    monotonic: () => scheduler.nowMs,
    sleep: (ms, { signal } = {}) =>
      new Promise<void>((resolve, reject) => {
        if (signal?.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const leave = (): void => {
          timer.cancelled = true;
          reject(signal?.reason as Error);
        };
        const timer = scheduler.at(ms, { label: 'slept', to: mailbox }, () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        });
        signal?.addEventListener('abort', leave, { once: true });
      }),
  };
}
