/** A download that survives broken connections: it goes on at the byte where it broke, of the same version only. */
import type { GetOptions, ReplicaClient, StoredObject } from '../replica-client.ts';
import { Patience, type RetryOptions, shouldRetry } from './patience.ts';

export type ResumableGetOptions = GetOptions & RetryOptions;

/**
 * As `client.get`; calls and body alike are tried again while they fail for passing reasons. `client` may be a retrying
 * one: then each resumption is patient in itself.
 *
 * @throws PreconditionFailedError from the body when the object was overwritten between two parts
 */
export function resumableGet(client: ReplicaClient, key: string, options: ResumableGetOptions): Promise<StoredObject> {
  return getPatiently(client, key, { ...options, patience: new Patience(options) });
}

/** The same, with a patience that several calls share. */
export async function getPatiently(
  client: ReplicaClient,
  key: string,
  { range, ifMatch, signal, patience }: GetOptions & { readonly patience: Patience },
): Promise<StoredObject> {
  const attempt = { operation: 'get', what: `get ${key}`, signal } as const;
  const asked: GetOptions = { signal, ...(range ? { range } : {}), ...(ifMatch === undefined ? {} : { ifMatch }) };
  const first = await patience.until(attempt, () => client.get(key, asked));
  const endExclusive = Math.min(range?.endExclusive ?? first.size, first.size);
  const { version, size, givesChunksAway } = first;

  async function* body(): AsyncIterable<Uint8Array> {
    const trial = patience.begin(attempt);
    let position = range?.start ?? 0;
    let part: StoredObject | null = first;
    for (;;) {
      try {
        part ??= await client.get(key, { signal, ifMatch: version, range: { start: position, endExclusive } });
        for await (const chunk of part.body) {
          trial.succeed();
          position += chunk.byteLength;
          yield chunk;
        }
        return;
      } catch (error) {
        part = null;
        // All bytes are there: what broke after them is no loss, and an empty range cannot be asked for.
        if (shouldRetry(error) && position >= endExclusive) return;
        await trial.fail(error);
      }
    }
  }
  return { version, size, givesChunksAway, body: startedOrReturned(body(), first) };
}

/** A generator that was never begun does not run its cleanup: then the first part is let go here. */
function startedOrReturned(chunks: AsyncIterable<Uint8Array>, first: StoredObject): AsyncIterable<Uint8Array> {
  const inner = chunks[Symbol.asyncIterator]();
  let started = false;
  const iterator: AsyncIterableIterator<Uint8Array> = {
    [Symbol.asyncIterator]: () => iterator,
    next() {
      started = true;
      return inner.next();
    },
    async return() {
      if (!started) await first.body[Symbol.asyncIterator]().return?.();
      await inner.return?.();
      return { done: true, value: undefined };
    },
  };
  return iterator;
}
