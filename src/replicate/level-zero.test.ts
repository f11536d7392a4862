// Invariant: a lone call waits for at most 40 ms, steady load makes one object an interval, and nothing waits longer
// than an interval after the newest cut.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAt, GATHER_MS_MAX, QUIET_MS } from './level-zero.ts';

const intervalMs = 1000;

describe('cutAt', () => {
  test.each([
    ['the very first commit', { lastCutAt: null, growthBeforeAt: null, firstGrowthAt: 500, lastGrowthAt: 500 }, 510],
    ['a call of three commits', { lastCutAt: null, growthBeforeAt: null, firstGrowthAt: 500, lastGrowthAt: 508 }, 518],
    ['a call that does not end', { lastCutAt: null, growthBeforeAt: null, firstGrowthAt: 500, lastGrowthAt: 538 }, 540],
    [
      'after a pause of one interval',
      { lastCutAt: 100, growthBeforeAt: 90, firstGrowthAt: 1100, lastGrowthAt: 1100 },
      1110,
    ],
    ['just short of a pause', { lastCutAt: 100, growthBeforeAt: 90, firstGrowthAt: 1099, lastGrowthAt: 1099 }, 1100],
    ['steady load', { lastCutAt: 5000, growthBeforeAt: 4999, firstGrowthAt: 5003, lastGrowthAt: 5900 }, 6000],
    [
      'a slow upload came between',
      { lastCutAt: 5000, growthBeforeAt: 5000, firstGrowthAt: 5400, lastGrowthAt: 9000 },
      6000,
    ],
  ])('%s', (_name, times, expected) => {
    expect(cutAt({ intervalMs, ...times })).toBe(expected);
  });

  test('never later than 40 ms after a pause, or an interval after the newest cut', () => {
    const time = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(fc.option(time), fc.option(time), time, fc.nat(2000), (lastCutAt, growthBeforeAt, first, more) => {
        const pace = { intervalMs, lastCutAt, growthBeforeAt, firstGrowthAt: first, lastGrowthAt: first + more };
        const at = cutAt(pace);
        expect(at).toBeGreaterThanOrEqual(Math.min(first + QUIET_MS, (lastCutAt ?? first) + intervalMs));
        expect(at).toBeLessThanOrEqual(Math.max(first + GATHER_MS_MAX, (lastCutAt ?? first) + intervalMs));
      }),
    );
  });
});
