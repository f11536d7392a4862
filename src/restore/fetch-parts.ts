/**
 * Fetches parts of objects ahead of their use: several at once, handed out in the order asked for, never more bytes in
 * memory than the budget gives.
 *
 * Each part takes its share of the budget once, whole, in the order of use. So the part that is needed next always
 * gets its bytes first, and waiting for the budget cannot become waiting for oneself. A part that is slow is asked for a
 * second time (`hedge.ts`), where there is memory for it at once.
 */
import type { BudgetShare, ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import { mapAhead } from '../core/map-ahead.ts';
import {
  ObjectNotFoundError,
  type ObjectVersion,
  type ReplicaClient,
  type StoredObject,
} from '../replica/replica-client.ts';
import { giveBackChunk } from './give-back.ts';
import { hedge, HedgePolicy } from './hedge.ts';
import type { PartBuffers } from './part-buffers.ts';

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
  /** Where others ask the same store meanwhile: how many of these are ours now. It may grow. */
  readonly parallelismNow?: () => number;
  readonly signal: AbortSignal;
  /** Called with the bytes of each part that arrived. */
  readonly onFetched?: (bytes: number) => void;
  /**
   * Where the parts' memory comes from, and goes to when they are disposed of. Only for one who really uses nothing of a
   * part after that; default: each part has its own.
   */
  readonly buffers?: PartBuffers | undefined;
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
  const shares = new Set<BudgetShare>();
  const policy = new HedgePolicy();
  const { parallelism, parallelismNow = (): number => parallelism } = options;
  const ahead = { ahead: () => Math.min(parallelism, parallelismNow()), signal: options.signal };
  const fetched = mapAhead(parts, (part) => fetchPart(part, { ...options, signal, shares, policy }), ahead);
  try {
    for (;;) {
      const { value, done } = await fetched.next();
      if (done === true) return;
      yield value;
    }
  } finally {
    // First the requests under way, then the source and whatever has arrived and will not be used.
    stop.abort();
    for (const share of shares) share[Symbol.dispose]();
    await fetched.return();
    for (const share of shares) share[Symbol.dispose]();
  }
}

async function fetchPart<P extends Part>(
  part: P,
  options: FetchOptions & { readonly shares: Set<BudgetShare>; readonly policy: HedgePolicy },
): Promise<FetchedPart<P>> {
  const { budget, signal, onFetched, shares, policy, buffers } = options;
  const wanted = part.endExclusive - part.start;
  const held = buffers?.heldBytes(wanted) ?? wanted;
  const share = await budget.take(held + (part.extraBytes ?? 0), { signal });
  shares.add(share);
  const release = (): void => {
    shares.delete(share);
    share[Symbol.dispose]();
  };
  try {
    const spare = (): BudgetShare | null => budget.tryTake(held);
    const ask = (stop: AbortSignal): Promise<Downloaded> => download(part, { ...options, signal: stop });
    const { bytes, version } = await hedge(ask, { policy, bytes: wanted, spare, signal });
    onFetched?.(wanted);
    let isHeld = true;
    const dispose = (): void => {
      if (isHeld) buffers?.giveBack(bytes);
      isHeld = false;
      release();
    };
    return { part, bytes, version, [Symbol.dispose]: dispose };
  } catch (error) {
    release();
    throw error;
  }
}

type Downloaded = Pick<FetchedPart<Part>, 'bytes' | 'version'>;

async function download(
  part: Part,
  { client, signal, buffers }: Pick<FetchOptions, 'client' | 'signal' | 'buffers'>,
): Promise<Downloaded> {
  const isWhole = part.start === 0 && part.endExclusive === part.objectBytes;
  const range = { start: part.start, endExclusive: part.endExclusive };
  try {
    const stored = await getPart(client, part, { signal, ...(isWhole ? {} : { range }) });
    return { bytes: await readExactly(stored, part, buffers), version: stored.version };
  } catch (error) {
    throw error instanceof ObjectNotFoundError ? goneAs(part.key, error) : error;
  }
}

/** Stores know an object by the whole of its key, or say none at all: whoever plans anew knows it by the part's. */
const goneAs = (key: string, error: ObjectNotFoundError): ObjectNotFoundError =>
  error.facts['key'] === key
    ? error
    : new ObjectNotFoundError(error.message, { cause: error, facts: { ...error.facts, key } });

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

async function readExactly(stored: StoredObject, part: Part, buffers: PartBuffers | undefined): Promise<Uint8Array> {
  const wanted = part.endExclusive - part.start;
  const bytes = buffers?.take(wanted) ?? Buffer.allocUnsafeSlow(wanted);
  let at = 0;
  let fits = part.objectBytes === null ? stored.size >= part.endExclusive : stored.size === part.objectBytes;
  // The loop is entered in any case: leaving it early is what releases the connection.
  for await (const chunk of stored.body) {
    fits &&= at + chunk.byteLength <= wanted;
    if (!fits) break;
    bytes.set(chunk, at);
    at += chunk.byteLength;
    if (stored.givesChunksAway === true) giveBackChunk(chunk);
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
