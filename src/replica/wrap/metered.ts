/** Counts what is asked of a store. Inside of `retrying` it counts every attempt, outside of it every call. */
import type { Clock } from '../../core/clock.ts';
import { ReplicateError } from '../../core/errors.ts';
import type { StoreCounters, StoreOperation, StoreOperationCounters } from '../../core/status.ts';
import { bodyBytes } from '../put-body.ts';
import {
  type CallOptions,
  type ConditionalPower,
  type DeleteFailure,
  type GetOptions,
  type ListedObject,
  type ListOptions,
  type ObjectFacts,
  ObjectNotFoundError,
  type ObjectVersion,
  openBody,
  PreconditionFailedError,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
} from '../replica-client.ts';

const PAGE_KEYS = 1000;

export interface MeteredOptions {
  readonly clock: Clock;
}

const zero = (): StoreOperationCounters => ({ requests: 0, errors: 0, bytesSent: 0, bytesReceived: 0, seconds: 0 });

/**
 * `errors` are calls without an answer that the caller could have expected: absence and a failed condition are answers.
 * `seconds` is the time that calls waited for the store, bodies included; a listing counts a request for each 1,000 keys.
 */
export function meteredClient(client: ReplicaClient, options: MeteredOptions): MeteredClient {
  const metered = new MeteredReplicaClient(client, options);
  return { client: metered, counters: () => metered.counters() };
}

export interface MeteredClient {
  readonly client: ReplicaClient;
  /** Live: the numbers in it go on counting. */
  readonly counters: () => StoreCounters;
}

class MeteredReplicaClient implements ReplicaClient {
  readonly #inner: ReplicaClient;
  readonly #clock: Clock;
  readonly #operations: Record<StoreOperation, StoreOperationCounters> = {
    put: zero(),
    get: zero(),
    head: zero(),
    list: zero(),
    delete: zero(),
  };

  #failing: NonNullable<StoreCounters['failing']> | null = null;

  constructor(inner: ReplicaClient, { clock }: MeteredOptions) {
    this.#inner = inner;
    this.#clock = clock;
  }

  get url(): string {
    return this.#inner.url;
  }

  get conditional(): ConditionalPower {
    return this.#inner.conditional;
  }

  counters(): StoreCounters {
    return { destination: this.url, failing: this.#failing, operations: this.#operations };
  }

  put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    const counter = this.#operations.put;
    const bytes = bodyBytes(body);
    counter.bytesSent += bytes ?? 0;
    const counted: PutBody =
      bytes === null ? { open: () => countChunks(openBody(body), (sent) => (counter.bytesSent += sent)) } : body;
    return this.#request('put', () => this.#inner.put(key, counted, options));
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const object = await this.#request('get', () => this.#inner.get(key, options));
    return { ...object, body: this.#watch(object.body) };
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    return this.#request('head', () => this.#inner.head(key, options));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const counter = this.#operations.list;
    const keys = this.#inner.list(prefix, options)[Symbol.asyncIterator]();
    let listed = 0;
    counter.requests += 1;
    try {
      for (;;) {
        const next = await this.#timed('list', () => keys.next());
        if (next.done) return;
        if (listed > 0 && listed % PAGE_KEYS === 0) counter.requests += 1;
        listed += 1;
        yield next.value;
      }
    } finally {
      await keys.return?.();
    }
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    return this.#request('delete', () => this.#inner.delete(keys, options));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #request<T>(operation: StoreOperation, call: () => Promise<T>): Promise<T> {
    this.#operations[operation].requests += 1;
    return this.#timed(operation, call);
  }

  async #timed<T>(operation: StoreOperation, call: () => Promise<T>): Promise<T> {
    const counter = this.#operations[operation];
    const startMs = this.#clock.monotonic();
    try {
      const answer = await call();
      this.#failing = null;
      return answer;
    } catch (error) {
      this.#judge(error);
      if (!(error instanceof ObjectNotFoundError || error instanceof PreconditionFailedError)) counter.errors += 1;
      throw error;
    } finally {
      counter.seconds += (this.#clock.monotonic() - startMs) / 1000;
    }
  }

  /** Also a refusal is an answer; an end that was asked for says nothing. */
  #judge(error: unknown): void {
    if (!(error instanceof ReplicateError)) return;
    const { code, message } = error;
    this.#failing = error.shouldRetry() ? { code, message, at: this.#clock.now() } : null;
  }

  /** Passes `return` on, even when the body was never begun. */
  #watch(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    const inner = body[Symbol.asyncIterator]();
    const counter = this.#operations.get;
    const iterator: AsyncIterableIterator<Uint8Array> = {
      [Symbol.asyncIterator]: () => iterator,
      next: async () => {
        const next = await this.#timed('get', () => inner.next());
        if (!next.done) counter.bytesReceived += next.value.byteLength;
        return next;
      },
      async return() {
        await inner.return?.();
        return { done: true, value: undefined };
      },
    };
    return iterator;
  }
}

async function* countChunks(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) {
    count(chunk.byteLength);
    yield chunk;
  }
}
