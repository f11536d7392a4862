/** Objects in memory that several clients can share, for tests and simulations. */
import { createHash } from 'node:crypto';
import type { StoreOperation } from '../../core/status.ts';
import { compareKeys } from '../keys.ts';
import type { ObjectVersion } from '../replica-client.ts';

export interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly version: ObjectVersion;
}

export class MemoryStore {
  readonly objects = new Map<string, MemoryObject>();
  /** Calls by all clients since the start, or since `resetCounters`; each page of 1,000 of a listing is one. */
  readonly requests: Record<StoreOperation, number> = { put: 0, get: 0, head: 0, list: 0, delete: 0 };
  /** False: every call fails with StoreNotFoundError, as for a bucket that is not there. */
  exists = true;

  /** Keeps a copy. */
  set(key: string, bytes: Uint8Array): MemoryObject {
    const copy = Uint8Array.from(bytes);
    const object = { bytes: copy, version: createHash('sha256').update(copy).digest('hex') };
    this.objects.set(key, object);
    return object;
  }

  /** All keys in the listing's order. */
  keys(): string[] {
    return [...this.objects.keys()].sort(compareKeys);
  }

  resetCounters(): void {
    for (const operation of Object.keys(this.requests) as StoreOperation[]) this.requests[operation] = 0;
  }
}
