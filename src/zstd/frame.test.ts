/**
 * Invariant: what comes out of a decoder of our frames is exactly what went into the encoder, or it is refused. Crash
 * points: a frame cut at any byte, any bit flipped, anything behind it, any option that ours do not use.
 */
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noise } from '../../test/support/pieces.ts';
import { CorruptionError } from '../core/errors.ts';
import { decodeFrame, decodeFrameSync, encodeFrame, encodeFrameSync } from './frame.ts';
import { decodeFrameHeader } from './frame-header.ts';

const { constants } = zlib;
const plainBytesMax = 1_000_000;
const foreign = (plain: Uint8Array, params: Record<number, number>): Uint8Array =>
  zlib.zstdCompressSync(plain, { params });

describe('our frames', () => {
  test('every input comes back, by the pool and on the spot', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 3000 }),
        fc.nat({ max: 60 }),
        fc.integer({ min: 1, max: 5 }),
        async (part, times, level) => {
          const plain = Buffer.concat(Array.from({ length: times }, () => part));
          for (const frame of [await encodeFrame(plain, { level }), encodeFrameSync(plain, { level })]) {
            expect(Buffer.compare(await decodeFrame(frame, { plainBytesMax }), plain)).toBe(0);
            expect(Buffer.compare(decodeFrameSync(frame, { plainBytesMax }), plain)).toBe(0);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test.for([0, 1, 255, 256, 16_383, 16_384, 65_791, 65_792, 262_154, 600_000])(
    'a frame of %i bytes declares its size and carries a checksum',
    async (length) => {
      for (const frame of [
        await encodeFrame(noise(length), { level: 1 }),
        encodeFrameSync(noise(length), { level: 1 }),
      ]) {
        expect(decodeFrameHeader(frame)).toMatchObject({
          contentSize: length,
          checksum: true,
          dictionaryId: 0,
          unusedBit: false,
        });
      }
    },
  );

  test('a small result does not hold a large buffer', async () => {
    const plain = new Uint8Array(200_000);
    const frame = await encodeFrame(plain, { level: 1 });
    expect(frame.buffer.byteLength).toBeLessThan(2 * frame.byteLength + 8192);
  });

  test('a level that zstd does not have is our bug', () => {
    expect(() => encodeFrameSync(new Uint8Array(1), { level: 0 })).toThrow(/level/);
    expect(() => encodeFrameSync(new Uint8Array(1), { level: 20 })).toThrow(/level/);
  });
});

describe('what is refused', () => {
  const plain = noise(700);
  const frame = encodeFrameSync(plain, { level: 1 });

  test('every flipped bit, but for the few that no decoder looks at: then the content is right', () => {
    let harmless = 0;
    for (let bit = 0; bit < frame.byteLength * 8; bit++) {
      const damaged = Uint8Array.from(frame);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        expect(Buffer.compare(decodeFrameSync(damaged, { plainBytesMax }), plain), `bit ${bit}`).toBe(0);
        harmless += 1;
      } catch (error) {
        expect(error, `bit ${bit}`).toBeInstanceOf(CorruptionError);
      }
    }
    // Reserved bits of the block's sequence header, and another code for the same symbol.
    expect(harmless).toBeLessThan(8);
  });

  test('every cut, and anything behind the frame', async () => {
    for (let length = 0; length < frame.byteLength; length++) {
      await expect(decodeFrame(frame.subarray(0, length), { plainBytesMax })).rejects.toThrow(CorruptionError);
    }
    for (const more of [[0], [...frame], [0x5e, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]]) {
      await expect(decodeFrame(Buffer.concat([frame, Uint8Array.from(more)]), { plainBytesMax })).rejects.toThrow(
        /follow/,
      );
    }
  });

  test('more plain bytes than belong there, before anything is decoded', async () => {
    expect(decodeFrameSync(frame, { plainBytesMax: 700 })).toHaveLength(700);
    await expect(decodeFrame(frame, { plainBytesMax: 699 })).rejects.toThrow(/declares 700/);
  });

  test('no checksum, no size, a large window, a skippable frame, a dictionary', async () => {
    const refuse = async (bytes: Uint8Array, why: RegExp): Promise<void> =>
      expect(decodeFrame(bytes, { plainBytesMax: 100_000_000 })).rejects.toThrow(why);
    await refuse(foreign(plain, { [constants.ZSTD_c_checksumFlag]: 0 }), /no checksum/);
    await refuse(
      foreign(plain, { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_contentSizeFlag]: 0 }),
      /plain size/,
    );
    const unused = Uint8Array.from(frame);
    unused[4] = (unused[4] ?? 0) | 0b1_0000;
    expect(zlib.zstdDecompressSync(unused)).toHaveLength(700);
    await refuse(unused, /unused bit/);
    await refuse(Uint8Array.from([0x5e, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]), /skippable/);
    // Header by hand: checksum, content size of 8 bytes, a window of 16 MiB; one empty last block.
    const wide = Uint8Array.from([
      0x28,
      0xb5,
      0x2f,
      0xfd,
      0b1100_0100,
      14 << 3,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    await refuse(wide, /window of 16777216/);
    // The same with one byte of dictionary id and no window.
    const named = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0b0010_0101, 7, 1, 1, 0, 0, 0, 0, 0, 0]);
    await refuse(named, /dictionary/);
  });

  test('a size that is declared and not held', () => {
    const lying = Uint8Array.from(frame);
    // 700 is written as u16 less 256 behind the descriptor.
    lying[5] = (lying[5] ?? 0) + 1;
    expect(() => decodeFrameSync(lying, { plainBytesMax })).toThrow(CorruptionError);
  });
});
