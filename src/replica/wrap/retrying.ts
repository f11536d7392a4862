/**
 * Tries failed calls again, for every store alike: stores' clients do not. Invariants: a call that may succeed later is
 * tried until it does, the signal ends it, or patience does; a conditional put whose first answer was lost is never
 * taken for a lost race when it was won; bytes that came are not asked for again.
 */
import { createHash } from 'node:crypto';
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
  type PutAnswer,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
} from '../replica-client.ts';
import { Patience, type RetryOptions, shouldRetry } from './patience.ts';
import { getPatiently } from './resumable-get.ts';
import { sameStoreClient } from './same-store.ts';

export type { RetryOptions } from './patience.ts';

export const retryingClient = (client: ReplicaClient, options: RetryOptions): ReplicaClient =>
  new RetryingReplicaClient(sameStoreClient(client), options);

class RetryingReplicaClient implements ReplicaClient {
  readonly #inner: ReplicaClient;
  readonly #patience: Patience;

  constructor(inner: ReplicaClient, options: RetryOptions) {
    this.#inner = inner;
    this.#patience = new Patience(options);
  }

  get url(): string {
    return this.#inner.url;
  }

  get conditional(): ConditionalPower {
    return this.#inner.conditional;
  }

  put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutAnswer> {
    const { signal } = options;
    return this.#patience.until({ operation: 'put', what: `put ${key}`, signal }, async (failures) => {
      const beganMs = this.#patience.now();
      try {
        const { version } = await this.#inner.put(key, body, options);
        return { version, attemptMs: this.#patience.now() - beganMs };
      } catch (error) {
        if (failures === 0 || !(error instanceof PreconditionFailedError)) throw error;
        // An attempt before had no answer: the condition may have failed because of that very write.
        const version = await this.#versionIfOurs(key, body, { signal });
        if (version === null) throw error;
        return { version };
      }
    });
  }

  /** A body that breaks goes on at the byte where it broke. */
  get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    return getPatiently(this.#inner, key, { ...options, patience: this.#patience });
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    const attempt = { operation: 'head', what: `head ${key}`, signal: options.signal } as const;
    return this.#patience.until(attempt, () => this.#inner.head(key, options));
  }

  /** A listing that breaks goes on after the last key that it gave. */
  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const trial = this.#patience.begin({ operation: 'list', what: `list ${prefix}`, signal: options.signal });
    let last = options.startAfter;
    for (;;) {
      try {
        for await (const object of this.#inner.list(
          prefix,
          last === undefined ? options : { ...options, startAfter: last },
        )) {
          trial.succeed();
          last = object.key;
          yield object;
        }
        trial.succeed();
        return;
      } catch (error) {
        await trial.fail(error);
      }
    }
  }

  /** Keys that failed for a passing reason are tried again; what is left is what stands in the way. */
  async delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    const lasting: DeleteFailure[] = [];
    let rest = keys;
    const attempt = { operation: 'delete', what: `delete ${keys.length} objects`, signal: options.signal } as const;
    await this.#patience.until(attempt, async () => {
      const failures = await this.#inner.delete(rest, options);
      lasting.push(...failures.filter(({ error }) => !shouldRetry(error)));
      const passing = failures.filter(({ error }) => shouldRetry(error));
      rest = passing.map(({ key }) => key);
      if (passing[0]) throw passing[0].error;
    });
    return lasting;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The version under `key` when its bytes are those of `body`, else null. Errors worth a retry are thrown. */
  async #versionIfOurs(key: string, body: PutBody, { signal }: CallOptions): Promise<ObjectVersion | null> {
    let stored: StoredObject;
    try {
      stored = await this.#inner.get(key, { signal });
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return null;
      throw error;
    }
    if ((bodyBytes(body) ?? stored.size) !== stored.size) {
      await stored.body[Symbol.asyncIterator]().return?.();
      return null;
    }
    return (await sha256Of(stored.body)) === (await sha256Of(openBody(body))) ? stored.version : null;
  }
}

async function sha256Of(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}
