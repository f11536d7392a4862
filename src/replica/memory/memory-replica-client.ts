/** The contract over a `MemoryStore`: conditional in full, bytes copied in both directions. */
import { assert } from '../../core/errors.ts';
import type { StoreOperation } from '../../core/status.ts';
import { compareKeys, keyParts } from '../keys.ts';
import { gatherBody, resolveRange } from '../put-body.ts';
import {
  type CallOptions,
  type ConditionalPower,
  type DeleteFailure,
  type GetOptions,
  type ListedObject,
  type ListOptions,
  ObjectNotFoundError,
  type ObjectVersion,
  PreconditionFailedError,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
  StoreNotFoundError,
  UnsupportedByStoreError,
} from '../replica-client.ts';
import { type MemoryObject, MemoryStore } from './memory-store.ts';

const PAGE_KEYS = 1000;
const CHUNK_BYTES = 64 * 1024;

export interface MemoryReplicaClientOptions {
  /** Shared with other clients; default: one of its own. */
  readonly store?: MemoryStore;
  /** A store with less power refuses conditions, as the contract says. Default `full`. */
  readonly conditional?: ConditionalPower;
  readonly url?: string;
}

export class MemoryReplicaClient implements ReplicaClient {
  readonly url: string;
  readonly conditional: ConditionalPower;
  readonly store: MemoryStore;
  #closed = false;

  constructor({ store = new MemoryStore(), conditional = 'full', url = 'memory:' }: MemoryReplicaClientOptions = {}) {
    this.store = store;
    this.conditional = conditional;
    this.url = url;
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    const { signal, ifAbsent = false, ifMatch } = options;
    this.#checkPower(ifAbsent, ifMatch);
    keyParts(key);
    await this.#begin('put', signal);
    const bytes = await gatherBody(body, { signal });
    signal?.throwIfAborted();
    const present = this.store.objects.get(key);
    if (ifAbsent && present) throw preconditionFailed(key, 'exists already');
    if (ifMatch !== undefined && present?.version !== ifMatch) throw preconditionFailed(key, 'is another version');
    return { version: this.store.set(key, bytes).version };
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const { signal, range, ifMatch } = options;
    await this.#begin('get', signal);
    const { bytes, version } = this.#require(key);
    if (ifMatch !== undefined && version !== ifMatch) throw preconditionFailed(key, 'is another version');
    const { start, endExclusive } = resolveRange(range, bytes.byteLength);
    return { version, size: bytes.byteLength, body: chunksOf(bytes.subarray(start, endExclusive), signal) };
  }

  async head(key: string, options: CallOptions = {}): Promise<{ version: ObjectVersion; size: number }> {
    await this.#begin('head', options.signal);
    const { bytes, version } = this.#require(key);
    return { version, size: bytes.byteLength };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    let after = options.startAfter;
    for (;;) {
      await this.#begin('list', options.signal);
      const rest = this.store
        .keys()
        .filter((key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0));
      const page = rest
        .slice(0, PAGE_KEYS)
        .map((key) => ({ key, size: this.store.objects.get(key)?.bytes.length ?? 0 }));
      for (const object of page) {
        options.signal?.throwIfAborted();
        yield object;
      }
      if (rest.length <= PAGE_KEYS) return;
      after = page.at(-1)?.key;
    }
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    await this.#begin('delete', options.signal);
    for (const key of keys) this.store.objects.delete(key);
    return [];
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A turn of the event loop's microtasks, so that callers cannot rely on a call being done before it is awaited. */
  async #begin(operation: StoreOperation, signal: AbortSignal | undefined): Promise<void> {
    assert(!this.#closed, `${operation} by a closed client of ${this.url}`);
    signal?.throwIfAborted();
    this.store.requests[operation] += 1;
    await Promise.resolve();
    if (!this.store.exists) throw new StoreNotFoundError(`${this.url} does not exist`);
  }

  #require(key: string): MemoryObject {
    const object = this.store.objects.get(key);
    if (!object) throw new ObjectNotFoundError(`${key} is not in ${this.url}`, { facts: { key } });
    return object;
  }

  #checkPower(ifAbsent: boolean, ifMatch: ObjectVersion | undefined): void {
    const able =
      this.conditional === 'full' || (ifMatch === undefined && (this.conditional === 'create-only' || !ifAbsent));
    if (!able) throw new UnsupportedByStoreError(`${this.url} has no such conditional writes`);
  }
}

async function* chunksOf(bytes: Uint8Array, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += CHUNK_BYTES) {
    signal?.throwIfAborted();
    yield bytes.slice(start, start + CHUNK_BYTES);
  }
  signal?.throwIfAborted();
}

const preconditionFailed = (key: string, why: string): PreconditionFailedError =>
  new PreconditionFailedError(`${key} ${why}`, { facts: { key } });
