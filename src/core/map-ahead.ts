/** Slow work on each item of a stream, a few items at once, results in order: what keeps a thread pool busy. */

export interface MapAheadOptions {
  /** How many items are worked on at once; as a function it is asked before each is begun, and may grow. */
  readonly ahead: number | (() => number);
  readonly signal?: AbortSignal | undefined;
}

/**
 * Pulls an item only when it can be begun. A result is given as soon as it and those before it are done, also while the
 * source is slow. A failure, of the source or of `work`, is thrown in its place in the order, after the results before
 * it; leaving early closes the source and waits for what was begun.
 */
export async function* mapAhead<T, R>(
  source: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<R>,
  { ahead, signal }: MapAheadOptions,
): AsyncGenerator<R, void, void> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const width = typeof ahead === 'number' ? (): number => ahead : ahead;
  const begun: Promise<R>[] = [];
  let pull: Promise<void> | null = null;
  let ended = false;
  const begin = (result: Promise<R>): void => {
    // Its turn comes later; until then its failure is nobody's, and must not end the process.
    result.catch(() => {});
    begun.push(result);
  };
  const pullOne = async (): Promise<void> => {
    try {
      const item = await items.next();
      if (item.done) ended = true;
      else begin(work(item.value));
    } catch (error) {
      ended = true;
      begin(Promise.reject(error));
    }
    pull = null;
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (!ended && pull === null && begun.length < width()) pull = pullOne();
      const [first] = begun;
      if (first !== undefined && (pull === null || (await isSettledFirst(first, pull)))) {
        yield await first;
        void begun.shift();
      } else if (pull !== null) {
        await pull;
      } else if (ended && begun.length === 0) {
        return;
      }
    }
  } finally {
    await pull;
    if (!ended) await items.return?.();
    await Promise.allSettled(begun);
  }
}

/** Whether `first` settles before `other`; the failure of `first` counts as settled. */
function isSettledFirst(first: Promise<unknown>, other: Promise<void>): Promise<boolean> {
  const settled = (): boolean => true;
  return Promise.race([first.then(settled, settled), other.then(() => false)]);
}
