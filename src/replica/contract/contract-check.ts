/** How the contract's checks are declared: any test runner's `test`, and a fresh client for each. */
import assert from 'node:assert/strict';
import { type ObjectFacts, ObjectNotFoundError, readBody, type ReplicaClient } from '../replica-client.ts';

export interface ReplicaClientContract {
  /** The test runner's: registers a check. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** A client of an empty place that nobody else uses. Called once for each check, which closes it. */
  readonly open: () => Promise<ReplicaClient>;
  /** A client of a bucket or root that is not there. Without it that behaviour is not checked. */
  readonly openMissing?: () => Promise<ReplicaClient>;
  /** Above this size the client sends an object in several parts. Default 8 MiB: then nothing special is expected. */
  readonly largeBytes?: number;
}

/** Declares one check that gets an open client. */
export type Check = (name: string, run: (client: ReplicaClient) => Promise<void>) => void;

export const READ_BYTES_MAX = 256 * 1024 * 1024;
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Bytes that are the same each time, and different in each place. */
export function pattern(bytes: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = seed >>> 0 || 1;
  for (let i = 0; i < words.length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

export async function readAll(client: ReplicaClient, key: string): Promise<Uint8Array> {
  return readBody(await client.get(key), READ_BYTES_MAX);
}

export async function assertHolds(client: ReplicaClient, key: string, expected: Uint8Array): Promise<ObjectFacts> {
  const object = await client.get(key);
  const bytes = await readBody(object, READ_BYTES_MAX);
  assert.equal(object.size, expected.byteLength);
  assert.equal(Buffer.compare(bytes, expected), 0, `${key} holds other bytes than were put`);
  return object;
}

export async function assertAbsent(client: ReplicaClient, key: string): Promise<void> {
  await assert.rejects(client.head(key), ObjectNotFoundError);
}

export async function listKeys(client: ReplicaClient, prefix: string, startAfter?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of client.list(prefix, startAfter === undefined ? {} : { startAfter })) keys.push(key);
  return keys;
}

/** Puts small objects, 32 at once. */
export async function putMany(client: ReplicaClient, keys: readonly string[]): Promise<void> {
  const rest = [...keys];
  const work = async (): Promise<void> => {
    for (let key = rest.pop(); key !== undefined; key = rest.pop()) await client.put(key, text(key));
  };
  await Promise.all(Array.from({ length: 32 }, work));
}
