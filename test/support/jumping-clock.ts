/** The real clock of a machine whose time is set again and again: `now` jumps, what measures does not. */
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { micros } from '../../src/core/types.ts';

export interface JumpingClockOptions {
  /** In [0, 1). */
  readonly random: () => number;
  /** As far as it jumps, in either direction. */
  readonly jumpMs: number;
}

export function jumpingClock({ random, jumpMs }: JumpingClockOptions): Clock {
  return {
    ...systemClock,
    now: () => {
      const off = Math.round((2 * random() - 1) * jumpMs);
      return micros(systemClock.now() + BigInt(off) * 1000n);
    },
  };
}
