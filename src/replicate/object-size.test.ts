// Invariants: over a line of any steady speed the objects come to take about OBJECT_MS_MAX at most, and never fewer bytes
// than the least; over a fast line they are as long as is allowed, also after it was slow.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OBJECT_MS_MAX, OBJECT_PLAIN_BYTES_MAX, OBJECT_PLAIN_BYTES_MIN, ObjectSize } from './object-size.ts';

function storeFull(size: ObjectSize, bytesPerSecond: number): number {
  const plainBytes = size.plainBytesMax;
  const attemptMs = (plainBytes / bytesPerSecond) * 1000;
  size.stored({ plainBytes, attemptMs });
  return attemptMs;
}

test('sizes follow the line', () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 1e9 }), (bytesPerSecond) => {
      const size = new ObjectSize();
      storeFull(size, bytesPerSecond);
      for (let objects = 0; objects < 10; objects += 1) {
        const took = storeFull(size, bytesPerSecond);
        expect(took <= OBJECT_MS_MAX + 1 || size.plainBytesMax === OBJECT_PLAIN_BYTES_MIN).toBe(true);
        expect(size.plainBytesMax).toBeGreaterThanOrEqual(OBJECT_PLAIN_BYTES_MIN);
      }
      for (let objects = 0; objects < 6; objects += 1) storeFull(size, 1e10);
      expect(size.plainBytesMax).toBe(OBJECT_PLAIN_BYTES_MAX);
    }),
  );
});

test('a short object that is quick, and one of unknown time, change nothing', () => {
  const size = new ObjectSize();
  size.stored({ plainBytes: 1_000_000, attemptMs: 100_000 });
  const slow = size.plainBytesMax;
  expect(slow).toBe(100_000);
  size.stored({ plainBytes: 10, attemptMs: 1 });
  size.stored({ plainBytes: 1e9, attemptMs: undefined });
  expect(size.plainBytesMax).toBe(slow);
});
