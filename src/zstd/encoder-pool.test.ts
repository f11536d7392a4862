// Invariant: however many frames are made at once and in whatever order of sizes and levels, each is the frame of its own
// input, alone in its memory, and declares its size.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AssertionError } from '../core/errors.ts';
import { encodeInPool, POOLED_PLAIN_BYTES_MAX } from './encoder-pool.ts';
import { decodeFrame } from './frame.ts';

const input = fc.record({
  bytes: fc.integer({ min: 1, max: POOLED_PLAIN_BYTES_MAX }),
  random: fc.boolean(),
  level: fc.integer({ min: 1, max: 3 }),
});

test('frames made at once do not mix', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(input, { minLength: 1, maxLength: 12 }), async (inputs) => {
      const plains = inputs.map(({ bytes, random }, index) =>
        random ? randomBytes(bytes) : Buffer.alloc(bytes, index),
      );
      const frames = await Promise.all(plains.map((plain, index) => encodeInPool(plain, inputs[index]?.level ?? 1)));
      for (const [index, frame] of frames.entries()) {
        const plain = plains[index] as Buffer;
        expect(frame.byteLength).toBe(frame.buffer.byteLength);
        expect(Buffer.compare(await decodeFrame(frame, { plainBytesMax: plain.byteLength }), plain)).toBe(0);
      }
    }),
    { numRuns: 20 },
  );
});

test('the longest input that does not shrink, again and again by the same context', async () => {
  for (let round = 0; round < 8; round += 1) {
    const plain = randomBytes(POOLED_PLAIN_BYTES_MAX);
    const frame = await encodeInPool(plain, 1);
    expect(Buffer.compare(await decodeFrame(frame, { plainBytesMax: plain.byteLength }), plain)).toBe(0);
  }
});

test('a longer input is our bug', () => {
  expect(() => encodeInPool(new Uint8Array(POOLED_PLAIN_BYTES_MAX + 1), 1)).toThrow(AssertionError);
});
