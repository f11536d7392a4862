/** A clock by which so many seconds pass in one: hours of an outage in a test's moments, at the pace of real sockets. */
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { micros } from '../../src/core/types.ts';

export function fastClock(times: number): Clock {
  const began = systemClock.now();
  return {
    now: () => micros(began + (systemClock.now() - began) * BigInt(times)),
    monotonic: () => systemClock.monotonic() * times,
    sleep: (ms, options) => systemClock.sleep(ms / times, options),
  };
}
