/**
 * Fetches parts of objects ahead of their use: several at once, handed out in the order asked for, never more bytes in
 * memory than the budget gives.
 *
 * Each part takes its share of the budget once, whole, in the order of use. So the part that is needed next always
 * gets its bytes first, and waiting for the budget cannot become waiting for oneself.
 */
import type { BudgetShare, ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import type { ObjectVersion, ReplicaClient, StoredObject } from '../replica/replica-client.ts';

export interface Part {
  readonly key: string;
  /** Of the whole object, as it was listed or declared; null where that is not known. */
  readonly objectBytes: number | null;
  readonly start: number;
  readonly endExclusive: number;
  /** Bytes that whoever uses the part will hold beside it. */
  readonly extraBytes?: number;
}

export interface FetchedPart<P extends Part> extends Disposable {
  readonly part: P;
  /** Valid until disposed of. */
  readonly bytes: Uint8Array;
  readonly version: ObjectVersion;
}

export interface FetchOptions {
  readonly client: ReplicaClient;
  readonly budget: ByteBudget;
  /** Requests at once. */
  readonly parallelism: number;
  readonly signal: AbortSignal;
  /** Called with the bytes of each part that arrived. */
  readonly onFetched?: (bytes: number) => void;
}

/**
 * Yields every part, in order; each must be disposed of.
 *
 * @throws ObjectNotFoundError when an object is gone; CorruptionError when one has another size than it should
 */
export async function* fetchParts<P extends Part>(
  parts: Iterable<P> | AsyncIterable<P>,
  options: FetchOptions,
): AsyncGenerator<FetchedPart<P>, void, void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const source = toAsyncIterator(parts);
  const ahead: Promise<FetchedPart<P>>[] = [];
  let ended = false;
  try {
    for (;;) {
      while (!ended && ahead.length < options.parallelism) {
        const next = await source.next();
        if (next.done === true) {
          ended = true;
          break;
        }
        const fetched = fetchPart(next.value, { ...options, signal });
        // Its failure is reported when its turn comes; until then it must not count as unhandled.
        fetched.catch(() => {});
        ahead.push(fetched);
      }
      const first = ahead.shift();
      if (first === undefined) return;
      yield await first;
    }
  } finally {
    stop.abort();
    await source.return?.();
    for (const outcome of await Promise.allSettled(ahead)) {
      if (outcome.status === 'fulfilled') outcome.value[Symbol.dispose]();
    }
  }
}

function toAsyncIterator<P>(parts: Iterable<P> | AsyncIterable<P>): AsyncIterator<P> {
  if (Symbol.asyncIterator in parts) return parts[Symbol.asyncIterator]();
  const iterator = parts[Symbol.iterator]();
  return {
    next: async () => iterator.next(),
    return: async () => iterator.return?.() ?? { done: true, value: undefined },
  };
}

async function fetchPart<P extends Part>(part: P, options: FetchOptions): Promise<FetchedPart<P>> {
  const { client, budget, signal, onFetched } = options;
  const wanted = part.endExclusive - part.start;
  const share = await budget.take(wanted + (part.extraBytes ?? 0), { signal });
  try {
    const isWhole = part.start === 0 && part.endExclusive === part.objectBytes;
    const range = { start: part.start, endExclusive: part.endExclusive };
    const stored = await getPart(client, part, { signal, ...(isWhole ? {} : { range }) });
    const bytes = await readExactly(stored, part, wanted);
    onFetched?.(wanted);
    return held(part, bytes, stored.version, share);
  } catch (error) {
    share[Symbol.dispose]();
    throw error;
  }
}

async function getPart(
  client: ReplicaClient,
  part: Part,
  options: { signal: AbortSignal; range?: { start: number; endExclusive: number } },
): Promise<StoredObject> {
  try {
    return await client.get(part.key, options);
  } catch (error) {
    if (error instanceof RangeError) throw truncated(part, 'shorter than', error);
    throw error;
  }
}

async function readExactly(stored: StoredObject, part: Part, wanted: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(wanted);
  let at = 0;
  let fits = part.objectBytes === null ? stored.size >= part.endExclusive : stored.size === part.objectBytes;
  // The loop is entered in any case: leaving it early is what releases the connection.
  for await (const chunk of stored.body) {
    fits &&= at + chunk.byteLength <= wanted;
    if (!fits) break;
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  if (!fits || at !== wanted) throw truncated(part, `of ${stored.size} bytes where there should be`);
  return bytes;
}

function truncated(part: Part, how: string, cause?: unknown): CorruptionError {
  const expected = part.objectBytes ?? `at least ${part.endExclusive}`;
  return new CorruptionError(`the object ${part.key} is ${how} ${expected} bytes`, {
    ...(cause === undefined ? {} : { cause }),
    facts: { key: part.key },
  });
}

function held<P extends Part>(part: P, bytes: Uint8Array, version: ObjectVersion, share: BudgetShare): FetchedPart<P> {
  return { part, bytes, version, [Symbol.dispose]: () => share[Symbol.dispose]() };
}
