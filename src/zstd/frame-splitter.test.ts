/**
 * Invariant: the frames are the same whatever pieces the stream comes in, and every cut within a frame is noticed.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteByByte, collect, cutInto, feed, noise, pieceLengths } from '../../test/support/pieces.ts';
import { CorruptionError } from '../core/errors.ts';
import { encodeFrameSync } from './frame.ts';
import { splitFrames } from './frame-splitter.ts';
import { encodeSeekTable } from './seek-table.ts';

const frames = [
  encodeFrameSync(noise(9000), { level: 1 }),
  encodeFrameSync(new Uint8Array(0), { level: 1 }),
  encodeSeekTable([{ bytes: 1, plainBytes: 1 }]),
  encodeFrameSync(new Uint8Array(400_000), { level: 1 }),
  encodeFrameSync(noise(30), { level: 1 }),
];
const whole = Buffer.concat(frames);
const expected = frames.map((bytes, index) => ({ bytes: Buffer.from(bytes).toString('hex'), skippable: index === 2 }));
const split = async (pieces: Iterable<Uint8Array>, frameBytesMax = 100_000) =>
  (await collect(splitFrames(feed(pieces), { frameBytesMax }))).map(({ bytes, skippable }) => ({
    bytes: Buffer.from(bytes).toString('hex'),
    skippable,
  }));

describe('frame splitter', () => {
  test('whole, byte by byte, and cut anywhere', async () => {
    expect(await split([whole])).toEqual(expected);
    expect(await split(byteByByte(whole))).toEqual(expected);
    await fc.assert(
      fc.asyncProperty(pieceLengths, async (lengths) => {
        expect(await split(cutInto(whole, lengths))).toEqual(expected);
      }),
    );
  });

  test('frames that were given stay as they are while later ones come', async () => {
    const given: { bytes: Uint8Array; copy: string }[] = [];
    for await (const { bytes } of splitFrames(feed(cutInto(whole, [100])), { frameBytesMax: 100_000 })) {
      given.push({ bytes, copy: Buffer.from(bytes).toString('hex') });
    }
    for (const { bytes, copy } of given) expect(Buffer.from(bytes).toString('hex')).toBe(copy);
  });

  test('a stream that ends within a frame', async () => {
    const ends = new Set([0]);
    for (const { byteLength } of frames) ends.add([...ends].at(-1)! + byteLength);
    for (let length = 0; length < whole.byteLength; length += 7) {
      const splitting = split(cutInto(whole.subarray(0, length), [1000]));
      if (ends.has(length)) await splitting;
      else await expect(splitting).rejects.toThrow(CorruptionError);
    }
  });

  test('a frame longer than its bound is refused as soon as that is known', async () => {
    const longest = Math.max(...frames.map(({ byteLength }) => byteLength));
    expect(await split([whole], longest)).toEqual(expected);
    await expect(split([whole], longest - 1)).rejects.toThrow(/longer than/);
    await expect(split(byteByByte(whole), longest - 1)).rejects.toThrow(/longer than/);
    const huge = Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]);
    await expect(split([huge])).rejects.toThrow(/longer than/);
  });

  test('what is no frame', async () => {
    await expect(split([frames[0]!, noise(50)])).rejects.toThrow(CorruptionError);
  });
});
