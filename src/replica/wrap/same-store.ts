/**
 * Nothing is written into a store that was gone and came back as another one: a bucket that somebody made anew, the
 * empty directory under a disk that is not mounted. What would be stored there would hang in the air, and be taken for
 * the continuation of what is not there.
 *
 * Invariant: after StoreNotFoundError no put is sent until an object that this client has seen is found again.
 */
import {
  type CallOptions,
  type ConditionalPower,
  type DeleteFailure,
  type GetOptions,
  type ListedObject,
  type ListOptions,
  type ObjectFacts,
  ObjectNotFoundError,
  type PutAnswer,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
  StoreNotFoundError,
} from '../replica-client.ts';

export const sameStoreClient = (client: ReplicaClient): ReplicaClient => new SameStoreClient(client);

class SameStoreClient implements ReplicaClient {
  readonly #inner: ReplicaClient;
  /** An object that is there, as far as this client knows. */
  #witness: string | null = null;
  /** Whether the store was gone, and has not been proven to be the same since. */
  #inDoubt = false;

  constructor(inner: ReplicaClient) {
    this.#inner = inner;
  }

  get url(): string {
    return this.#inner.url;
  }

  get conditional(): ConditionalPower {
    return this.#inner.conditional;
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutAnswer> {
    if (this.#inDoubt) await this.#requireWitness(options);
    const answer = await this.#watch(this.#inner.put(key, body, options));
    this.#witness = key;
    return answer;
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const object = await this.#watch(this.#inner.get(key, options));
    this.#witness = key;
    return object;
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    const facts = await this.#watch(this.#inner.head(key, options));
    this.#witness = key;
    return facts;
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    try {
      yield* this.#inner.list(prefix, options);
    } catch (error) {
      throw this.#noted(error);
    }
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    if (this.#witness !== null && keys.includes(this.#witness)) this.#witness = null;
    return this.#watch(this.#inner.delete(keys, options));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #requireWitness({ signal }: CallOptions): Promise<void> {
    const key = this.#witness;
    try {
      if (key !== null) await this.#inner.head(key, { signal });
    } catch (error) {
      if (!(error instanceof ObjectNotFoundError)) throw error;
      throw new StoreNotFoundError(`${this.url} was gone, and what is there now lacks ${key}: it is another store`, {
        cause: error,
        hint: 'Give the store back as it was: the disk, the bucket. To begin a new backup in this one, start stdb-replicate again.',
        facts: { url: this.url, key },
      });
    }
    this.#inDoubt = false;
  }

  async #watch<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw this.#noted(error);
    }
  }

  #noted(error: unknown): unknown {
    this.#inDoubt ||= error instanceof StoreNotFoundError;
    return error;
  }
}
