/**
 * Invariant: a log object gives back exactly the frames it was made of, whatever pieces it arrives in, or fails by name.
 * Crash points: cut at any byte, any byte changed, anything behind it, another size than listed.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteByByte, collect, collectBytes, cutInto, feed, noise, pieceLengths } from '../../test/support/pieces.ts';
import { AssertionError, CorruptionError } from '../core/errors.ts';
import { encodeFrameSync } from '../zstd/frame.ts';
import { encodeSeekTable } from '../zstd/seek-table.ts';
import {
  decodeLogFrame,
  decodeLogObject,
  encodeLogObject,
  LOG_FRAME_PLAIN_BYTES_MAX,
  LOG_OBJECT_TAIL_BYTES,
  readLogObjectIndex,
} from './log-object.ts';

const key = 'generations/00000001-1a2b3c4d/log/0/x.zst';
const encode = async (chunks: readonly Uint8Array[]): Promise<Buffer> =>
  collectBytes(encodeLogObject(feed(chunks), { level: 1 }));
const decode = (object: Uint8Array, pieces: Iterable<Uint8Array> = [object], plainBytesMax?: number) =>
  collect(
    decodeLogObject(feed(pieces), {
      key,
      size: object.byteLength,
      ...(plainBytesMax === undefined ? {} : { plainBytesMax }),
    }),
  );
const same = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean =>
  a.length === b.length && a.every((bytes, index) => Buffer.compare(bytes, b[index] ?? new Uint8Array(0)) === 0);

const frames = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 40_000 }), fc.nat()).map(([length, seed]) => noise(length, seed)),
  { minLength: 1, maxLength: 6 },
);

describe('log objects', () => {
  test('frames come back, in any pieces', async () => {
    await fc.assert(
      fc.asyncProperty(frames, pieceLengths, async (made, lengths) => {
        const object = await encode(made);
        expect(same(await decode(object), made)).toBe(true);
        expect(same(await decode(object, cutInto(object, lengths)), made)).toBe(true);
      }),
      { numRuns: 40 },
    );
    const small = [noise(300), noise(5)];
    const object = await encode(small);
    expect(same(await decode(object, byteByByte(object)), small)).toBe(true);
  });

  test('frames of the greatest size, incompressible ones too', async () => {
    const hard = new Uint8Array(LOG_FRAME_PLAIN_BYTES_MAX);
    for (let at = 0; at < hard.byteLength; at += 65_536) crypto.getRandomValues(hard.subarray(at, at + 65_536));
    const made = [hard, new Uint8Array(LOG_FRAME_PLAIN_BYTES_MAX)];
    expect(same(await decode(await encode(made)), made)).toBe(true);
    await expect(encode([new Uint8Array(LOG_FRAME_PLAIN_BYTES_MAX + 1)])).rejects.toThrow(AssertionError);
    await expect(encode([new Uint8Array(0)])).rejects.toThrow(AssertionError);
    await expect(encode([])).rejects.toThrow(AssertionError);
  });

  test('any byte changed: noticed, or the content is right', async () => {
    const made = [noise(200), noise(90, 2), noise(150, 3)];
    const object = await encode(made);
    let noticed = 0;
    for (let at = 0; at < object.byteLength; at++) {
      for (const flip of [1, 0x10, 0x80, 0xff]) {
        const damaged = Buffer.from(object);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        try {
          expect(same(await decode(damaged), made), `byte ${at}`).toBe(true);
        } catch (error) {
          expect(error, `byte ${at}`).toBeInstanceOf(CorruptionError);
          expect((error as Error).message).toContain(key);
          noticed += 1;
        }
      }
    }
    expect(noticed).toBeGreaterThan(object.byteLength * 4 * 0.99);
  });

  test('cut anywhere, at frame ends too; anything behind it; another size', async () => {
    const object = await encode([noise(200), noise(90, 2)]);
    for (let length = 0; length < object.byteLength; length++) {
      const cut = object.subarray(0, length);
      await expect(decode(cut), `${length} bytes`).rejects.toThrow(CorruptionError);
      await expect(decode(object, [cut]), `${length} bytes`).rejects.toThrow(CorruptionError);
    }
    const listedAs = (size: number) => collect(decodeLogObject(feed([object]), { key, size }));
    await expect(listedAs(object.byteLength + 1)).rejects.toThrow(/ends after/);
    await expect(listedAs(object.byteLength - 1)).rejects.toThrow(/longer than/);
    for (const more of [noise(1), object, encodeFrameSync(noise(9), { level: 1 }), encodeSeekTable([])]) {
      const longer = Buffer.concat([object, more]);
      await expect(decode(longer)).rejects.toThrow(CorruptionError);
      await expect(decode(object, [longer])).rejects.toThrow(CorruptionError);
    }
  });

  test('frames changed among themselves, a table of other frames, a table alone', async () => {
    const [a, b] = [encodeFrameSync(noise(200), { level: 1 }), encodeFrameSync(noise(90), { level: 1 })];
    const table = encodeSeekTable([
      { bytes: a.byteLength, plainBytes: 200 },
      { bytes: b.byteLength, plainBytes: 90 },
    ]);
    const empty = encodeFrameSync(new Uint8Array(0), { level: 1 });
    expect(await decode(Buffer.concat([a, b, table]))).toHaveLength(2);
    await expect(decode(Buffer.concat([b, a, table]))).rejects.toThrow(/does not agree/);
    await expect(decode(Buffer.concat([a, table]))).rejects.toThrow(/does not agree/);
    await expect(decode(Buffer.from(encodeSeekTable([])))).rejects.toThrow(/no data/);
    const emptyTable = encodeSeekTable([{ bytes: empty.byteLength, plainBytes: 0 }]);
    await expect(decode(Buffer.concat([empty, emptyTable]))).rejects.toThrow(/empty/);
    const long = encodeFrameSync(new Uint8Array(LOG_FRAME_PLAIN_BYTES_MAX + 1), { level: 1 });
    await expect(decode(Buffer.concat([long, table]))).rejects.toThrow(/at most/);
  });

  test('a bound on all plain bytes', async () => {
    const object = await encode([noise(200), noise(90)]);
    expect(await decode(object, [object], 290)).toHaveLength(2);
    await expect(decode(object, [object], 289)).rejects.toThrow(/more than 289/);
  });

  test("a failure of the body is the body's own", async () => {
    const object = await encode([noise(200)]);
    async function* breaking(): AsyncGenerator<Uint8Array, void, void> {
      yield object.subarray(0, 50);
      throw new RangeError('connection lost');
    }
    await expect(collect(decodeLogObject(breaking(), { key, size: object.byteLength }))).rejects.toThrow(RangeError);
  });
});

describe('by its seek table', () => {
  test('every frame is found and decoded, from a tail that is long enough', async () => {
    await fc.assert(
      fc.asyncProperty(frames, async (made) => {
        const object = await encode(made);
        const facts = { key, size: object.byteLength };
        const tableBytes = 17 + 8 * made.length;
        expect(await readLogObjectIndex(object.subarray(-9), facts)).toEqual({ need: tableBytes });
        const index = await readLogObjectIndex(object.subarray(-LOG_OBJECT_TAIL_BYTES), facts);
        if ('need' in index) throw new Error('the tail was long enough');
        expect(index.plainBytes).toBe(Buffer.concat(made).byteLength);
        for (const [number, place] of index.frames.entries()) {
          const frame = object.subarray(place.at, place.at + place.bytes);
          const plain = await decodeLogFrame(frame, place, { key });
          expect(Buffer.compare(plain, made[number] ?? new Uint8Array(0))).toBe(0);
          await expect(decodeLogFrame(frame, { ...place, plainBytes: place.plainBytes + 1 }, { key })).rejects.toThrow(
            key,
          );
          await expect(decodeLogFrame(frame.subarray(1), place, { key })).rejects.toThrow(CorruptionError);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('a table that does not cover its object, or says what cannot be', async () => {
    const object = await encode([noise(200), noise(90)]);
    const read = (bytes: Uint8Array, size = bytes.byteLength) => readLogObjectIndex(bytes, { key, size });
    await expect(read(object, object.byteLength + 1)).rejects.toThrow(/cover/);
    await expect(read(object.subarray(0, -1))).rejects.toThrow(/does not end/);
    await expect(read(Buffer.from(encodeSeekTable([{ bytes: 9, plainBytes: 0 }])))).rejects.toThrow(/impossible/);
    const absurd = Buffer.from(encodeSeekTable([]));
    absurd.writeUInt32LE(1_000_000, 8);
    await expect(read(absurd, 100_000_000)).rejects.toThrow(/too long/);
    await expect(read(new Uint8Array(0), 0)).rejects.toThrow(CorruptionError);
    expect(await read(object.subarray(-5), object.byteLength)).toEqual({ need: 9 });
  });
});
