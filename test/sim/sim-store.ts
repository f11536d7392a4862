/**
 * The bucket, and how a process reaches it: requests take their time, overtake each other, get lost before or after they
 * were done, and may be done long after whoever sent them has given up or died.
 */
import { gatherBody } from '../../src/replica/put-body.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import {
  type CallOptions,
  type ConditionalPower,
  type DeleteFailure,
  type GetOptions,
  type ListedObject,
  type ListOptions,
  type ObjectFacts,
  type ObjectVersion,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
  UnavailableError,
} from '../../src/replica/replica-client.ts';
import type { Random } from './random.ts';
import type { Mailbox, Scheduler } from './scheduler.ts';

/** How the way to the store behaves; may change at any time. */
export interface StoreWeather {
  /** Mean time of one way, milliseconds. */
  latencyMs: number;
  /** How often a request never reaches the store. */
  lost: number;
  /** How often the store does what it was asked, and the answer is lost. */
  unanswered: number;
  /** How often a request is done much later than its sender waits. */
  late: number;
  /** Nothing gets through. */
  outage: boolean;
}

export const CLEAR_WEATHER: Readonly<StoreWeather> = { latencyMs: 4, lost: 0, unanswered: 0, late: 0, outage: false };

export interface Bucket {
  readonly client: MemoryReplicaClient;
  /** Told of every object right after it was written. */
  onPut: (key: string, bytes: Uint8Array) => void;
  /** Planted defects. Whether a put is acknowledged and forgotten; */
  drops: (key: string) => boolean;
  /** whether it is done whatever its conditions say; */
  ignoresConditions: (key: string) => boolean;
  /** whether a bit of it is stored as another one. */
  corrupts: (key: string) => boolean;
  /** All requests that were sent. */
  requests: number;
}

export interface SimStoreOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly mailbox: Mailbox;
  readonly bucket: Bucket;
  readonly weather: StoreWeather;
  /** A request without an answer fails after this. */
  readonly timeoutMs: number;
  readonly pageKeys: number;
}

export class SimStoreClient implements ReplicaClient {
  readonly url = 'sim://bucket';
  readonly #options: SimStoreOptions;

  constructor(options: SimStoreOptions) {
    this.#options = options;
  }

  get conditional(): ConditionalPower {
    return this.#options.bucket.client.conditional;
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    const { bucket } = this.#options;
    const { signal, ...conditions } = options;
    const bytes = await gatherBody(body, { signal });
    return this.#request(`put ${key}`, { signal, isWrite: true }, async () => {
      if (bucket.drops(key)) return { version: 'forgotten' };
      const stored = bucket.corrupts(key) ? flipped(bytes) : bytes;
      const answer = await bucket.client.put(key, stored, bucket.ignoresConditions(key) ? {} : conditions);
      bucket.onPut(key, bytes);
      return answer;
    });
  }

  get(key: string, { signal, ...options }: GetOptions = {}): Promise<StoredObject> {
    const { bucket } = this.#options;
    return this.#request(`get ${key}`, { signal }, () => bucket.client.get(key, options));
  }

  head(key: string, { signal }: CallOptions = {}): Promise<ObjectFacts> {
    const { bucket } = this.#options;
    return this.#request(`head ${key}`, { signal }, () => bucket.client.head(key));
  }

  /** In short pages, each a request of its own: what is written meanwhile is seen or not. */
  async *list(prefix: string, { signal, startAfter }: ListOptions = {}): AsyncIterable<ListedObject> {
    const { bucket, pageKeys } = this.#options;
    for (let after = startAfter; ; ) {
      const page = await this.#request(`list ${prefix}`, { signal }, async () => {
        const found: ListedObject[] = [];
        for await (const object of bucket.client.list(prefix, after === undefined ? {} : { startAfter: after })) {
          found.push(object);
          if (found.length > pageKeys) break;
        }
        return found;
      });
      yield* page.slice(0, pageKeys);
      if (page.length <= pageKeys) return;
      after = page[pageKeys - 1]?.key;
    }
  }

  delete(keys: readonly string[], { signal }: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    const { bucket } = this.#options;
    return this.#request(`delete ${keys.length}`, { signal, isWrite: true }, () => bucket.client.delete(keys));
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #request<T>(
    label: string,
    { signal, isWrite = false }: CallOptions & { isWrite?: boolean },
    act: () => Promise<T>,
  ): Promise<T> {
    const { scheduler, mailbox, random, weather, timeoutMs, bucket } = this.#options;
    bucket.requests += 1;
    signal?.throwIfAborted();
    const way = (): number => random.delayMs(weather.latencyMs);
    const fate = random.next();
    const lost = weather.outage || fate < weather.lost;
    const unanswered = !lost && fate < weather.lost + weather.unanswered;
    const late = !lost && !unanswered && isWrite && fate < weather.lost + weather.unanswered + weather.late;
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        timeout.cancelled = true;
        signal?.removeEventListener('abort', leave);
        settle();
      };
      const leave = (): void => end(() => reject(signal?.reason as Error));
      const answer = (settle: () => void): void => {
        if (unanswered || late) return;
        scheduler.at(way(), { label: `answer to ${label}`, to: mailbox }, () => end(settle));
      };
      signal?.addEventListener('abort', leave, { once: true });
      const refused = lost && random.chance(0.5);
      const timeout = scheduler.at(refused ? way() : timeoutMs, { label: `no answer to ${label}`, to: mailbox }, () =>
        end(() => reject(new UnavailableError(`${label}: no answer from the simulated store`))),
      );
      if (lost) return;
      // Sent: from here on the store does it whatever becomes of the sender.
      scheduler.at(late ? random.int(0, 4 * timeoutMs) : way(), { label: `${mailbox.name} → ${label}` }, () => {
        act().then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
        );
      });
    });
  }
}

export function openBucket({ conditional }: { conditional: ConditionalPower }): Bucket {
  return {
    client: new MemoryReplicaClient({ conditional, url: 'sim://bucket' }),
    onPut: () => {},
    drops: () => false,
    ignoresConditions: () => false,
    corrupts: () => false,
    requests: 0,
  };
}

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const middle = copy.byteLength >>> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 4;
  return copy;
}
