/**
 * Invariants: parts come in the order asked for, whole and of the right size; no more bytes are held than the budget
 * has; every byte of it is given back, however the reading ends; a slow source never keeps what has arrived.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import { type FetchOptions, fetchParts, type Part } from './fetch-parts.ts';
import { PartStream, partsOf } from './part-stream.ts';

const client = new MemoryReplicaClient();
const CONTENT = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));
client.store.set('object', CONTENT);

const fetchOptions = (budgetBytes: number, parallelism = 4): FetchOptions => ({
  client,
  budget: new ByteBudget(budgetBytes),
  parallelism,
  signal: new AbortController().signal,
});

const part = (start: number, endExclusive: number, objectBytes: number | null = 1000): Part => ({
  key: 'object',
  objectBytes,
  start,
  endExclusive,
});

test('any cut of an object, with any budget and parallelism, reads as the object', async () => {
  const cases = fc.record({
    partBytes: fc.integer({ min: 1, max: 1200 }),
    budgetBytes: fc.integer({ min: 1, max: 2000 }),
    parallelism: fc.integer({ min: 1, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ partBytes, budgetBytes, parallelism }) => {
      const options = fetchOptions(budgetBytes, parallelism);
      const parts = Array.from(partsOf({ key: 'object', size: 1000 }, Math.max(partBytes, 20)));
      await using stream = new PartStream(fetchParts([...parts, ...parts], options));
      for (let turn = 0; turn < 2; turn += 1) {
        const bytes: Uint8Array[] = [];
        for await (const some of stream.next(parts.length)) bytes.push(some);
        expect(Buffer.concat(bytes).equals(CONTENT)).toBe(true);
      }
      expect(options.budget.held).toBe(0);
    }),
    { numRuns: 60 },
  );
});

test('what is left of an object is thrown away when the next one is asked for', async () => {
  const options = fetchOptions(4000);
  const parts = Array.from(partsOf({ key: 'object', size: 1000 }, 100));
  await using stream = new PartStream(fetchParts([...parts, part(0, 1000)], options));
  for await (const _ of stream.next(parts.length)) break;
  for await (const bytes of stream.next(1)) expect(bytes.byteLength).toBe(1000);
  expect(options.budget.held).toBe(0);
});

test('left early or failed, it gives back all of the budget', async () => {
  for (const bad of [part(900, 1001, 1001), part(900, 1000, 1200), part(1500, 1600, null), part(990, 1010, null)]) {
    const options = fetchOptions(4000);
    const reading = async (): Promise<void> => {
      for await (using _ of fetchParts([part(0, 500), bad, part(0, 500), part(0, 1000)], options)) {
        expect(options.budget.held).toBeGreaterThan(0);
      }
    };
    await expect(reading()).rejects.toThrow(CorruptionError);
    expect(options.budget.held).toBe(0);
  }
  const options = fetchOptions(4000);
  for await (const _ of fetchParts([part(0, 500), part(0, 900), part(0, 900)], options)) break;
  expect(options.budget.held).toBe(0);
  const absent = fetchParts([{ ...part(0, 10), key: 'absent' }], options);
  await expect(absent.next()).rejects.toThrow(ObjectNotFoundError);
});

test('a source that waits for what was handed out does not block itself', async () => {
  const options = fetchOptions(1000);
  const { promise: used, resolve } = Promise.withResolvers<void>();
  async function* source(): AsyncGenerator<Part, void, void> {
    yield part(0, 1000);
    await used;
    yield part(0, 1000);
  }
  let parts = 0;
  for await (using _ of fetchParts(source(), options)) {
    parts += 1;
    resolve();
  }
  expect(parts).toBe(2);
});

test('an object that is replaced between two parts is found', async () => {
  const parts = Array.from(partsOf({ key: 'changing', size: 1000 }, 500));
  client.store.set('changing', CONTENT);
  await using stream = new PartStream(fetchParts(parts, fetchOptions(4000, 1)));
  const reading = async (): Promise<void> => {
    for await (const _ of stream.next(parts.length)) client.store.set('changing', Buffer.alloc(1000));
  };
  await expect(reading()).rejects.toThrow(/was replaced/);
});
