/** Stores that keep their promises less than the contract says, as some that speak S3 do; and answers out of order. */
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import {
  type ObjectVersion,
  type PutBody,
  type PutOptions,
  UnavailableError,
  UnsupportedByStoreError,
} from '../../src/replica/replica-client.ts';

/** What becomes of a condition: kept, not looked at, or answered with "not implemented". */
export type ConditionManners = 'honours' | 'ignores' | 'refuses';

/** Declares all power, and has less. */
export class DeafClient extends MemoryReplicaClient {
  ifAbsent: ConditionManners = 'ignores';
  ifMatch: ConditionManners = 'ignores';
  /** Conditional puts that were heard of, in order. */
  readonly asked: string[] = [];

  override put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    const { ifAbsent = false, ifMatch, ...rest } = options;
    if (ifAbsent || ifMatch !== undefined) this.asked.push(key);
    const refuses = (ifAbsent && this.ifAbsent === 'refuses') || (ifMatch !== undefined && this.ifMatch === 'refuses');
    if (refuses) return Promise.reject(new UnsupportedByStoreError('501 NotImplemented'));
    return super.put(key, body, {
      ...rest,
      ...(ifAbsent && this.ifAbsent === 'honours' ? { ifAbsent } : {}),
      ...(ifMatch !== undefined && this.ifMatch === 'honours' ? { ifMatch } : {}),
    });
  }
}

/** Puts whose connection breaks while they are under way: they fail, and reach the store when the test lets them. */
export class LateClient extends MemoryReplicaClient {
  #toDelay = 0;
  readonly #underWay: (() => Promise<unknown>)[] = [];

  delayNextPut(): void {
    this.#toDelay += 1;
  }

  override put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    if (this.#toDelay === 0) return super.put(key, body, options);
    this.#toDelay -= 1;
    const { signal: _, ...rest } = options;
    this.#underWay.push(() => super.put(key, body, rest));
    return Promise.reject(new UnavailableError('the connection broke'));
  }

  /** Lets them arrive now, in order. @returns how each fared, as `allSettled` says it */
  arrive(): Promise<PromiseSettledResult<unknown>[]> {
    return Promise.allSettled(this.#underWay.splice(0).map((put) => put()));
  }
}
