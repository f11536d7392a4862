/** A store that fails on purpose, for tests: scripted per operation and key, or by chance from a seeded source. */
import type { Clock } from '../../core/clock.ts';
import type { StoreOperation } from '../../core/status.ts';
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
} from '../replica-client.ts';

export type FaultKind =
  /** The call fails and nothing was done. */
  | { readonly kind: 'fail-before'; readonly error?: () => Error }
  /** It was done, and the answer is lost. */
  | { readonly kind: 'fail-after'; readonly error?: () => Error }
  | { readonly kind: 'delay'; readonly delayMs: number }
  /** A body breaks after so many bytes with an error; for a listing, after so many keys. */
  | { readonly kind: 'break'; readonly after: number; readonly error?: () => Error }
  /** A body ends after so many bytes without a word: what no honest client does. */
  | { readonly kind: 'short'; readonly after: number }
  /** One bit of a body is flipped, at this byte of the answer. */
  | { readonly kind: 'corrupt'; readonly at: number };

export type Fault = FaultKind & {
  /** Default: every operation. */
  readonly operation?: StoreOperation;
  /** A prefix of the key, or what it must match; for list the prefix that is asked for, for delete the first key. */
  readonly key?: string | RegExp;
  /** Calls that match and pass before it begins. Default 0. */
  readonly skip?: number;
  /** How often it strikes. Default once. */
  readonly times?: number;
  /** In [0, 1]: whether it strikes a call that it could. Default always. */
  readonly chance?: number;
};

export interface FaultyOptions {
  readonly clock: Clock;
  /** In [0, 1); seeded by the test, for `chance`. */
  readonly random?: () => number;
  readonly faults?: readonly Fault[];
}

interface ArmedFault {
  readonly fault: Fault;
  toSkip: number;
  left: number;
}

export class FaultyReplicaClient implements ReplicaClient {
  readonly #inner: ReplicaClient;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #armed: ArmedFault[] = [];
  /** Faults that struck so far. */
  struck = 0;

  constructor(inner: ReplicaClient, { clock, random = Math.random, faults = [] }: FaultyOptions) {
    this.#inner = inner;
    this.#clock = clock;
    this.#random = random;
    for (const fault of faults) this.inject(fault);
  }

  get url(): string {
    return this.#inner.url;
  }

  get conditional(): ConditionalPower {
    return this.#inner.conditional;
  }

  inject(fault: Fault): void {
    this.#armed.push({ fault, toSkip: fault.skip ?? 0, left: fault.times ?? 1 });
  }

  put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    return this.#call('put', key, options, () => this.#inner.put(key, body, options));
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const faults = this.#strike('get', key);
    const object = await this.#with(faults, options, () => this.#inner.get(key, options));
    const damage = faults.find(({ kind }) => kind === 'break' || kind === 'short' || kind === 'corrupt');
    return damage ? { ...object, body: damaged(object.body, damage) } : object;
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    return this.#call('head', key, options, () => this.#inner.head(key, options));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const faults = this.#strike('list', prefix);
    await this.#with(faults, options, async () => undefined);
    const end = faults.find((fault) => fault.kind === 'break' || fault.kind === 'short');
    let listed = 0;
    for await (const object of this.#inner.list(prefix, options)) {
      if (end && listed >= end.after) {
        if (end.kind === 'break') throw errorOf(end);
        return;
      }
      listed += 1;
      yield object;
    }
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    return this.#call('delete', keys[0] ?? '', options, () => this.#inner.delete(keys, options));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #call<T>(operation: StoreOperation, key: string, options: CallOptions, call: () => Promise<T>): Promise<T> {
    return this.#with(this.#strike(operation, key), options, call);
  }

  async #with<T>(faults: readonly Fault[], { signal }: CallOptions, call: () => Promise<T>): Promise<T> {
    for (const fault of faults) {
      if (fault.kind === 'delay') await this.#clock.sleep(fault.delayMs, { signal });
      if (fault.kind === 'fail-before') throw errorOf(fault);
    }
    const answer = await call();
    for (const fault of faults) if (fault.kind === 'fail-after') throw errorOf(fault);
    return answer;
  }

  /** The faults that strike this call; each is counted. */
  #strike(operation: StoreOperation, key: string): Fault[] {
    const striking: Fault[] = [];
    for (const armed of this.#armed) {
      if (armed.left <= 0 || !matches(armed.fault, operation, key)) continue;
      if (armed.toSkip > 0) armed.toSkip -= 1;
      else if (armed.fault.chance === undefined || this.#random() < armed.fault.chance) {
        armed.left -= 1;
        striking.push(armed.fault);
      }
    }
    this.struck += striking.length;
    return striking;
  }
}

function matches(fault: Fault, operation: StoreOperation, key: string): boolean {
  if (fault.operation !== undefined && fault.operation !== operation) return false;
  if (fault.key === undefined) return true;
  return typeof fault.key === 'string' ? key.startsWith(fault.key) : fault.key.test(key);
}

const errorOf = (fault: FaultKind): Error =>
  ('error' in fault ? fault.error?.() : undefined) ?? new UnavailableError('a fault of the test');

async function* damaged(body: AsyncIterable<Uint8Array>, fault: FaultKind): AsyncIterable<Uint8Array> {
  let position = 0;
  for await (const chunk of body) {
    const place =
      fault.kind === 'corrupt' ? fault.at - position : 'after' in fault ? fault.after - position : chunk.length;
    position += chunk.byteLength;
    if (place < 0 || place >= chunk.byteLength) {
      yield chunk;
      continue;
    }
    if (fault.kind === 'corrupt') {
      const flipped = Uint8Array.from(chunk);
      flipped[place] = (flipped[place] ?? 0) ^ 1;
      yield flipped;
      continue;
    }
    if (place > 0) yield chunk.subarray(0, place);
    if (fault.kind === 'short') return;
    throw errorOf(fault);
  }
}
