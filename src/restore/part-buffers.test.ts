/** Invariant: a buffer is with one part at a time, and no part sees that its memory was another's. */
import { expect, test } from 'vitest';
import { ByteBudget } from '../core/byte-budget.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { fetchParts } from './fetch-parts.ts';
import { PartBuffers } from './part-buffers.ts';
import { partsOf } from './part-stream.ts';

const PART_BYTES = 1000;
const CONTENT = Buffer.from(Array.from({ length: 20_300 }, (_, index) => (index * 7 + (index >> 8)) % 256));

test('what comes back is taken again; parts that do not fit have memory of their own', () => {
  const buffers = new PartBuffers(PART_BYTES);
  const first = buffers.take(PART_BYTES);
  expect(buffers.take(PART_BYTES).buffer).not.toBe(first.buffer);
  buffers.giveBack(first);
  const shorter = buffers.take(PART_BYTES / 2);
  expect(shorter.buffer).toBe(first.buffer);
  expect(shorter.byteLength).toBe(PART_BYTES / 2);
  expect(buffers.take(PART_BYTES).buffer).not.toBe(first.buffer);

  for (const bytes of [1, PART_BYTES / 8, PART_BYTES + 1]) {
    const own = buffers.take(bytes);
    expect(own.buffer.byteLength).toBe(bytes);
    buffers.giveBack(own);
    buffers.giveBack(own);
    expect(buffers.take(PART_BYTES).buffer).not.toBe(own.buffer);
    expect(buffers.heldBytes(bytes)).toBe(bytes);
  }
  expect(buffers.heldBytes(PART_BYTES / 2)).toBe(PART_BYTES);
});

test('an object reads as it is through few buffers, and what they hold is taken from the budget', async () => {
  const client = new MemoryReplicaClient();
  client.store.set('object', CONTENT);
  const budget = new ByteBudget(10 * PART_BYTES);
  const signal = new AbortController().signal;
  const seen = new Set<ArrayBufferLike>();
  const buffers = new PartBuffers(PART_BYTES);
  const parts = partsOf({ key: 'object', size: CONTENT.byteLength }, PART_BYTES);
  const read: Uint8Array[] = [];
  for await (using part of fetchParts(parts, { client, budget, parallelism: 3, signal, buffers })) {
    expect(budget.held).toBeGreaterThanOrEqual(PART_BYTES);
    seen.add(part.bytes.buffer);
    read.push(Uint8Array.from(part.bytes));
  }
  expect(Buffer.concat(read).equals(CONTENT)).toBe(true);
  // Three under way, one in use, and one that is being asked for.
  expect(seen.size).toBeLessThanOrEqual(5);
  expect(budget.held).toBe(0);
});

test('a part that is disposed of twice gives its buffer back once', async () => {
  const client = new MemoryReplicaClient();
  client.store.set('object', CONTENT);
  const buffers = new PartBuffers(PART_BYTES);
  const parts = partsOf({ key: 'object', size: CONTENT.byteLength }, PART_BYTES);
  const signal = new AbortController().signal;
  const options = { client, budget: new ByteBudget(100 * PART_BYTES), parallelism: 1, signal, buffers };
  for await (const part of fetchParts(parts, options)) {
    part[Symbol.dispose]();
    part[Symbol.dispose]();
    break;
  }
  const taken = Array.from({ length: 4 }, () => buffers.take(PART_BYTES).buffer);
  expect(new Set(taken).size).toBe(4);
});

test('nothing is kept after disposal, also of what comes back later', () => {
  const bytes = 1_000_000;
  const buffers = new PartBuffers(bytes);
  const [early, late] = [buffers.take(bytes), buffers.take(bytes)];
  buffers.giveBack(early);
  buffers[Symbol.dispose]();
  expect(early.byteLength).toBe(0);
  expect(late.byteLength).toBe(bytes);
  buffers.giveBack(late);
  expect(late.byteLength).toBe(0);
});
