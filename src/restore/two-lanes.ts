/**
 * The snapshot and the log of one restore, written at the same time: small files wait for the disk while the log keeps the
 * processor busy.
 *
 * Both take from one budget, and neither can wait for the other without end: a part, once granted, is used and given back
 * without asking for more. What is held for longer, a part of the manifest, is less than what every wish leaves free
 * (`KEPT_FREE_BYTES`).
 */
import type { FetchOptions } from './fetch-parts.ts';

export type Lane<T> = (fetch: FetchOptions) => Promise<T>;

export interface TwoLanesOptions {
  /** Whether, after this failure of the second lane, what the first one writes is of use to the next attempt. */
  readonly isFirstOfUse: (error: unknown) => boolean;
}

interface Failure {
  readonly error: unknown;
}

/**
 * The requests at once are shared; who is left alone has them all. Where there is but one, the lanes are one after the
 * other.
 *
 * @throws what failed, when both have ended: the failure of the first lane where that was not stopped for the second's
 *   sake, as if the lanes were one after the other; what a lane says because it was stopped is not told
 */
export async function inTwoLanes<A, B>(
  fetch: FetchOptions,
  [first, second]: readonly [Lane<A>, Lane<B>],
  { isFirstOfUse }: TwoLanesOptions,
): Promise<readonly [A, B]> {
  const { parallelism } = fetch;
  if (parallelism < 2) return [await first(fetch), await second(fetch)];
  const stop = new AbortController();
  const signal = AbortSignal.any([fetch.signal, stop.signal]);
  let open = 2;
  const share = (own: number): FetchOptions => ({
    ...fetch,
    signal,
    parallelismNow: () => (open === 2 ? own : parallelism),
  });
  const failures: [Failure | null, Failure | null] = [null, null];
  const run = async <T>(lane: Lane<T>, index: 0 | 1): Promise<T | undefined> => {
    try {
      return await lane(share(index === 0 ? Math.floor(parallelism / 2) : Math.ceil(parallelism / 2)));
    } catch (error) {
      // Only what was not a consequence of the other's failure.
      if (!stop.signal.aborted) failures[index] = { error };
      if (index === 0 || !isFirstOfUse(error)) stop.abort(new Error('the other half of the restore has failed'));
      return undefined;
    } finally {
      open -= 1;
    }
  };
  const results = await Promise.all([run(first, 0), run(second, 1)]);
  const failure = failures[0] ?? failures[1];
  if (failure !== null) throw failure.error;
  return results as [A, B];
}
