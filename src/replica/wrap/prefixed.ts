/**
 * A part of a store, as a store of its own: every key begins with `prefix`, and nobody behind this client sees it.
 * Several such clients share the connections of one; so closing one of them ends only itself.
 */
import { assert } from '../../core/errors.ts';
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

/** @param prefix ends with `/`; the empty one is allowed, for a client that only must not close the one inside */
export const prefixedClient = (client: ReplicaClient, prefix: string): ReplicaClient =>
  new PrefixedReplicaClient(client, prefix);

class PrefixedReplicaClient implements ReplicaClient {
  readonly url: string;
  readonly #inner: ReplicaClient;
  readonly #prefix: string;
  #closed = false;

  constructor(inner: ReplicaClient, prefix: string) {
    assert(prefix === '' || /^[^/]+(\/[^/]+)*\/$/.test(prefix), `not a prefix of keys: ${JSON.stringify(prefix)}`);
    this.#inner = inner;
    this.#prefix = prefix;
    this.url = urlWith(inner.url, prefix);
  }

  get conditional(): ConditionalPower {
    return this.#inner.conditional;
  }

  async put(key: string, body: PutBody, options?: PutOptions): Promise<{ version: ObjectVersion }> {
    return await this.#open.put(this.#prefix + key, body, options);
  }

  async get(key: string, options?: GetOptions): Promise<StoredObject> {
    return await this.#open.get(this.#prefix + key, options);
  }

  async head(key: string, options?: CallOptions): Promise<ObjectFacts> {
    return await this.#open.head(this.#prefix + key, options);
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const { startAfter } = options;
    const placed = startAfter === undefined ? options : { ...options, startAfter: this.#prefix + startAfter };
    for await (const { key, size } of this.#open.list(this.#prefix + prefix, placed)) {
      yield { key: key.slice(this.#prefix.length), size };
    }
  }

  async delete(keys: readonly string[], options?: CallOptions): Promise<readonly DeleteFailure[]> {
    const failures = await this.#open.delete(
      keys.map((key) => this.#prefix + key),
      options,
    );
    return failures.map(({ key, error }) => ({ key: key.slice(this.#prefix.length), error }));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #open(): ReplicaClient {
    assert(!this.#closed, `${this.url} was closed`);
    return this.#inner;
  }
}

/** The prefix belongs to the path, before what a store's URL says in its query. */
function urlWith(url: string, prefix: string): string {
  if (prefix === '') return url;
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  return `${path}${path.endsWith('/') ? '' : '/'}${prefix.slice(0, -1)}${query < 0 ? '' : url.slice(query)}`;
}
