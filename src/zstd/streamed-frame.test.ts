/** Invariant: a frame that comes in any pieces decodes to what it holds, and anything that `decodeFrame` refuses is refused. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CorruptionError } from '../core/errors.ts';
import { decodeFrame, encodeFrameSync } from './frame.ts';
import { StreamedFrame } from './streamed-frame.ts';

const PLAIN_MAX = 400_000;

/** Null where it was refused. */
async function streamed(frame: Uint8Array, piece: number, plainBytesMax = PLAIN_MAX): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  using decoder = new StreamedFrame({
    plainBytesMax,
    onHeader: () => undefined,
    onPlain: (bytes) => void parts.push(Buffer.from(bytes)),
  });
  try {
    for (let at = 0; at < frame.byteLength; at += piece) {
      const bytes = Uint8Array.from(frame.subarray(at, at + piece));
      await decoder.push(bytes);
      bytes.fill(0);
    }
    await decoder.finish();
    return Buffer.concat(parts);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return null;
  }
}

/** Of several blocks, compressible or not. */
const plains = fc
  .record({ length: fc.nat(300_000), seed: fc.nat(), isRandom: fc.boolean() })
  .map(({ length, seed, isRandom }) => {
    let state = seed;
    return Uint8Array.from({ length }, (_, index) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return isRandom ? state >>> 16 : index >> 8;
    });
  });

test('any pieces', async () => {
  await fc.assert(
    fc.asyncProperty(plains, fc.integer({ min: 1, max: 100_000 }), async (plain, piece) => {
      const frame = encodeFrameSync(plain, { level: 1 });
      const size = Math.max(piece, Math.ceil(frame.byteLength / 500));
      expect((await streamed(frame, size))?.equals(plain)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('byte by byte', async () => {
  const plain = Buffer.from('rows of a table '.repeat(20));
  expect((await streamed(encodeFrameSync(plain, { level: 1 }), 1))?.equals(plain)).toBe(true);
});

test('flipped, cut and longer frames are refused as those in one piece are', async () => {
  const plain = Buffer.from(Array.from({ length: 300 }, (_, index) => `row ${index * 7919}`).join());
  const frame = encodeFrameSync(plain, { level: 1 });
  const bad: Uint8Array[] = [Buffer.concat([frame, Buffer.of(0)]), Buffer.concat([frame, frame])];
  for (let at = 0; at < frame.byteLength; at += 1) {
    if (at < 40 || at % 17 === 0) bad.push(frame.subarray(0, at));
    bad.push(frame.map((byte, index) => (index === at ? byte ^ (1 << (at % 8)) : byte)));
  }
  for (const [index, one] of bad.entries()) {
    const whole = await decodeFrame(one, { plainBytesMax: PLAIN_MAX }).catch(() => null);
    const found = await streamed(one, 97);
    expect(found?.toString('hex') ?? null, `${index}`).toBe(whole === null ? null : Buffer.from(whole).toString('hex'));
  }
});

test('more than is allowed is refused', async () => {
  expect(await streamed(encodeFrameSync(Buffer.alloc(1001), { level: 1 }), 10, 1000)).toBeNull();
});
