/**
 * At most so many calls to a store at once; the others wait in order of arrival. A get lasts until its body has ended or
 * was left: whoever opens another body inside the loop over one needs room for both. A listing takes a place for each
 * step only, so that objects can be asked for while one is read.
 */
import type {
  CallOptions,
  ConditionalPower,
  DeleteFailure,
  GetOptions,
  ListedObject,
  ListOptions,
  ObjectFacts,
  ObjectVersion,
  PutBody,
  PutOptions,
  ReplicaClient,
  StoredObject,
} from '../replica-client.ts';
import { Slots } from './slots.ts';

export const boundedClient = (client: ReplicaClient, { callsMax }: { readonly callsMax: number }): ReplicaClient =>
  new BoundedReplicaClient(client, callsMax);

class BoundedReplicaClient implements ReplicaClient {
  readonly #inner: ReplicaClient;
  readonly #slots: Slots;

  constructor(inner: ReplicaClient, callsMax: number) {
    this.#inner = inner;
    this.#slots = new Slots(callsMax);
  }

  get url(): string {
    return this.#inner.url;
  }

  get conditional(): ConditionalPower {
    return this.#inner.conditional;
  }

  put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    return this.#within(options, () => this.#inner.put(key, body, options));
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const release = await this.#slots.take(options);
    try {
      const object = await this.#inner.get(key, options);
      return { ...object, body: releasing(object.body, release) };
    } catch (error) {
      release();
      throw error;
    }
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    return this.#within(options, () => this.#inner.head(key, options));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const keys = this.#inner.list(prefix, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#within(options, () => keys.next());
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await keys.return?.();
    }
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    return this.#within(options, () => this.#inner.delete(keys, options));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #within<T>(options: CallOptions, call: () => Promise<T>): Promise<T> {
    const release = await this.#slots.take(options);
    try {
      return await call();
    } finally {
      release();
    }
  }
}

function releasing(body: AsyncIterable<Uint8Array>, release: () => void): AsyncIterable<Uint8Array> {
  const inner = body[Symbol.asyncIterator]();
  const iterator: AsyncIterableIterator<Uint8Array> = {
    [Symbol.asyncIterator]: () => iterator,
    async next() {
      try {
        const next = await inner.next();
        if (next.done) release();
        return next;
      } catch (error) {
        release();
        throw error;
      }
    },
    async return() {
      release();
      await inner.return?.();
      return { done: true, value: undefined };
    },
  };
  return iterator;
}
