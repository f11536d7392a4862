/**
 * Invariant: of files of other programs every frame is decoded, none beyond its bound, and a file that is cut short is
 * refused. Crash points: a cut at every byte; more plain bytes than asked for, declared or not.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noise } from '../../test/support/pieces.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { CorruptionError } from '../core/errors.ts';
import { decodeForeign } from './foreign.ts';

const SKIPPABLE = Uint8Array.from([0x51, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]);
const compress = (plain: Uint8Array, checksum: boolean, size: boolean): Uint8Array =>
  zlib.zstdCompressSync(plain, {
    params: {
      [zlib.constants.ZSTD_c_checksumFlag]: Number(checksum),
      [zlib.constants.ZSTD_c_contentSizeFlag]: Number(size),
    },
  });

describe('foreign zstd', () => {
  test('any row of frames decodes to all of their contents, within exactly that bound', async () => {
    const part = fc.record({
      plain: fc.integer({ min: 0, max: 200_000 }).map((length) => noise(length, length + 1)),
      checksum: fc.boolean(),
      size: fc.boolean(),
      skip: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 4 }), async (parts) => {
        const file = Buffer.concat(
          parts.flatMap(({ plain, checksum, size, skip }) => [
            ...(skip ? [SKIPPABLE] : []),
            compress(plain, checksum, size),
          ]),
        );
        const plain = Buffer.concat(parts.map((one) => one.plain));
        const decoded = await decodeForeign(file, { plainBytesMax: plain.byteLength });
        expect(Buffer.compare(decoded, plain)).toBe(0);
        if (plain.byteLength > 0) {
          await expect(decodeForeign(file, { plainBytesMax: plain.byteLength - 1 })).rejects.toThrow(CorruptionError);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('every cut but those between frames is refused', async () => {
    const first = compress(noise(300), false, false);
    const file = Buffer.concat([first, SKIPPABLE, compress(noise(40), true, true)]);
    for (let length = 0; length < file.byteLength; length++) {
      const isWhole = length === first.byteLength || length === first.byteLength + SKIPPABLE.byteLength;
      const decoding = decodeForeign(file.subarray(0, length), { plainBytesMax: 1000 });
      if (isWhole) expect(await decoding).toEqual(Buffer.from(noise(300)));
      else await expect(decoding, `${length} bytes`).rejects.toThrow(CorruptionError);
    }
  });

  test('a file without a frame, and one that is no zstd', async () => {
    await expect(decodeForeign(SKIPPABLE, { plainBytesMax: 10 })).rejects.toThrow('no zstd frame');
    await expect(decodeForeign(noise(100), { plainBytesMax: 10 })).rejects.toThrow(CorruptionError);
  });

  test("a segment that SpacetimeDB's server compressed", async () => {
    const at = 'clog/00000000000000000000.stdb.log';
    const plain = readFileSync(join(vectorDirectory('v2-small'), at));
    const stored = readFileSync(join(vectorDirectory('v2-compressed'), at));
    expect(Buffer.compare(await decodeForeign(stored, { plainBytesMax: plain.byteLength }), plain)).toBe(0);
  });
});
