/**
 * Invariant: each object of a pack comes back from its place, and a changed byte is noticed or does not matter. The
 * pack's name is the BLAKE3 of its bytes.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noise } from '../../test/support/pieces.ts';
import { blake3Hex } from '../core/checksum.ts';
import { AssertionError, CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { OBJECT_PLAIN_BYTES_MAX, PackBuilder, unpackObject } from './pack.ts';

const key = 'packs/ab/x.pack';
const objects = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 70_000 }), fc.nat()).map(([length, seed]) => noise(length, seed)),
  { maxLength: 8 },
);

async function build(plains: readonly Uint8Array[], atOnce: boolean) {
  const builder = new PackBuilder({ level: 1 });
  const places = [];
  if (atOnce) places.push(...(await Promise.all(plains.map((plain) => builder.add(plain)))));
  else for (const plain of plains) places.push(await builder.add(plain));
  const bytes = builder.bytes;
  const pack = await builder.finish();
  expect(pack.bytes).toBe(bytes);
  return { places, pack, bytes: Buffer.concat(pack.parts) };
}

describe('packs', () => {
  test('objects come back, one after the other or all at once, back to back in their order', async () => {
    await fc.assert(
      fc.asyncProperty(objects, fc.boolean(), async (plains, atOnce) => {
        const { places, pack, bytes } = await build(plains, atOnce);
        expect(pack).toMatchObject({ hash: blake3Hex(bytes), bytes: bytes.byteLength });
        let offset = 0;
        for (const [index, place] of places.entries()) {
          expect(place.offset).toBe(offset);
          offset += place.length;
          const plain = await unpackObject(bytes.subarray(place.offset, offset), place, { key });
          expect(Buffer.compare(plain, plains[index] ?? new Uint8Array(0))).toBe(0);
        }
        expect(offset).toBe(bytes.byteLength);
      }),
      { numRuns: 30 },
    );
  });

  test('any byte of an object changed, another length, a wrong place', async () => {
    const plain = noise(300);
    const { places, bytes } = await build([noise(20, 2), plain, noise(40, 3)], false);
    const place = places[1]!;
    const frame = bytes.subarray(place.offset, place.offset + place.length);
    for (let at = 0; at < frame.byteLength; at++) {
      const damaged = Buffer.from(frame);
      damaged[at] = (damaged[at] ?? 0) ^ 0xff;
      await expect(unpackObject(damaged, place, { key }), `byte ${at}`).rejects.toThrow(key);
    }
    for (const wrong of [
      { ...place, plainLength: 299 },
      { ...place, plainLength: 301 },
      { ...place, length: place.length + 1 },
    ]) {
      await expect(unpackObject(frame, wrong, { key })).rejects.toThrow(CorruptionError);
    }
    await expect(unpackObject(bytes.subarray(place.offset), place, { key })).rejects.toThrow(CorruptionError);
  });

  test('an object that is too long is refused before it is compressed; a finished pack takes no more', async () => {
    const builder = new PackBuilder({ level: 1 });
    // A length without the memory behind it.
    const huge = Object.defineProperty(new Uint8Array(0), 'byteLength', { value: OBJECT_PLAIN_BYTES_MAX + 1 });
    await expect(builder.add(huge)).rejects.toThrow(UnsupportedFormatError);
    await builder.add(noise(5));
    await builder.finish();
    await expect(builder.add(noise(5))).rejects.toThrow(AssertionError);
  });
});
