/**
 * When the next level-0 object goes out: a pure rule (design: "Log objects").
 *
 * A commit that comes after a pause of at least one interval goes out once the log has been quiet for 10 ms, or after
 * 40 ms, since one client call makes up to three commits. Under steady load there is one object an interval.
 */

export const QUIET_MS = 10;
export const GATHER_MS_MAX = 40;

export interface Pace {
  readonly intervalMs: number;
  /** When the newest object was cut; null before the first. Milliseconds of a monotonic clock, as all here. */
  readonly lastCutAt: number | null;
  /** When growth was last seen before the growth that is pending now; null when never. */
  readonly growthBeforeAt: number | null;
  /** When the growth that is pending now was first and last seen. */
  readonly firstGrowthAt: number;
  readonly lastGrowthAt: number;
}

/** The moment at which to cut. It may lie in the past: then at once. */
export function cutAt(pace: Pace): number {
  const quietUntil = Math.max(pace.growthBeforeAt ?? -Infinity, pace.lastCutAt ?? -Infinity);
  const afterPause = pace.firstGrowthAt - quietUntil >= pace.intervalMs;
  if (afterPause) return Math.min(pace.lastGrowthAt + QUIET_MS, pace.firstGrowthAt + GATHER_MS_MAX);
  return (pace.lastCutAt ?? pace.firstGrowthAt) + pace.intervalMs;
}
