// Invariant: memory that others may use as well is never freed; that of one user is, at once.
import { expect, test } from 'vitest';
import { decodeFrameSync, encodeFrameSync } from '../zstd/frame.ts';
import { giveBack, giveBackChunk } from './give-back.ts';

test('a decoded frame is freed, also one that is a little shorter than the usual', () => {
  const frame = encodeFrameSync(Buffer.alloc(250_000, 'commit'), { level: 1 });
  const plain = decodeFrameSync(frame, { plainBytesMax: 262_144 });
  const view = plain.subarray(10);
  giveBack(view);
  expect(plain.byteLength).toBe(0);
  expect(view.byteLength).toBe(0);
});

test('the pool that the runtime cuts small buffers from is left alone', () => {
  for (const bytes of [1, 100, Buffer.poolSize / 2 - 8]) {
    const pooled = Buffer.allocUnsafe(bytes);
    giveBack(pooled);
    giveBackChunk(pooled);
    expect(pooled.byteLength).toBe(bytes);
  }
});

test('a chunk is freed only where it fills its buffer: another may lie in the rest', () => {
  const buffer = Buffer.allocUnsafeSlow(65_536);
  const [first, second] = [buffer.subarray(0, 65_535), buffer.subarray(65_535)];
  giveBackChunk(first);
  giveBackChunk(second);
  expect(buffer.byteLength).toBe(65_536);
  giveBackChunk(buffer);
  expect(first.byteLength).toBe(0);
});

test('memory that threads share stays', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(1_000_000));
  giveBack(shared);
  giveBackChunk(shared);
  expect(shared.byteLength).toBe(1_000_000);
});
