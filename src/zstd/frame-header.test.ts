/**
 * Invariant: header and length of a frame are what RFC 8878 says, from any prefix that holds them, and null from any
 * shorter one.
 */
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noise } from '../../test/support/pieces.ts';
import { CorruptionError } from '../core/errors.ts';
import { decodeFrameHeader, FRAME_HEADER_BYTES_MAX, FrameMeasure, frameLength, isZstd } from './frame-header.ts';

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
const SIZE_MIN = [0, 256, 0, 0] as const;

/** A header as the RFC builds one: its bytes, and what they mean. */
const header = fc
  .record({
    sizeFlag: fc.integer({ min: 0, max: 3 }),
    single: fc.boolean(),
    unused: fc.boolean(),
    checksum: fc.boolean(),
    dictionaryFlag: fc.integer({ min: 0, max: 3 }),
    exponent: fc.integer({ min: 0, max: 31 }),
    mantissa: fc.integer({ min: 0, max: 7 }),
    dictionary: fc.integer({ min: 0, max: 0xffff_ffff }),
    size: fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) }),
  })
  .map((made) => {
    const { sizeFlag, single, dictionaryFlag, exponent, mantissa } = made;
    const little = (value: bigint, bytes: number): number[] =>
      Array.from({ length: bytes }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
    const sizeBytes = sizeFlag === 0 ? Number(single) : 2 ** sizeFlag;
    const dictionaryBytes = [0, 1, 2, 4][dictionaryFlag] ?? 0;
    const size = BigInt.asUintN(8 * sizeBytes, made.size);
    const dictionary = BigInt.asUintN(8 * dictionaryBytes, BigInt(made.dictionary));
    const descriptor =
      (sizeFlag << 6) |
      (Number(single) << 5) |
      (Number(made.unused) << 4) |
      (Number(made.checksum) << 2) |
      dictionaryFlag;
    const contentSize = sizeBytes === 0 ? null : Number(size) + (SIZE_MIN[sizeFlag === 1 ? 1 : 0] ?? 0);
    const window = 2 ** (10 + exponent) * (1 + mantissa / 8);
    const bytes = Uint8Array.from([
      ...MAGIC,
      descriptor,
      ...(single ? [] : [(exponent << 3) | mantissa]),
      ...little(dictionary, dictionaryBytes),
      ...little(size, sizeBytes),
    ]);
    const expected = {
      contentSize,
      windowSize: single ? contentSize : window,
      checksum: made.checksum,
      dictionaryId: Number(dictionary),
      unusedBit: made.unused,
      headerBytes: bytes.byteLength,
    };
    return { bytes, expected };
  });

describe('header', () => {
  test('every header is read, behind anything, and no shorter prefix is', () => {
    fc.assert(
      fc.property(header, fc.nat({ max: 20 }), ({ bytes, expected }, at) => {
        expect(decodeFrameHeader(Buffer.concat([noise(at), bytes, noise(9)]), at)).toEqual(expected);
        expect(bytes.byteLength).toBeLessThanOrEqual(FRAME_HEADER_BYTES_MAX);
        for (let length = 0; length < bytes.byteLength; length++) {
          expect(decodeFrameHeader(bytes.subarray(0, length))).toBeNull();
        }
      }),
    );
  });

  test('no zstd, a reserved bit, a size beyond 2^53', () => {
    expect(() => decodeFrameHeader(Uint8Array.from([1, 2, 3, 4, 5]))).toThrow(CorruptionError);
    expect(() => decodeFrameHeader(Uint8Array.from([...MAGIC, 0b10_1000, 0]))).toThrow(/reserved/);
    const absurd = Uint8Array.from([...MAGIC, 0b1110_0000, 255, 255, 255, 255, 255, 255, 255, 255]);
    expect(() => decodeFrameHeader(absurd)).toThrow(/declares/);
  });

  test('zstd is told from a segment by its first bytes', () => {
    expect(isZstd(Uint8Array.from(MAGIC))).toBe(true);
    expect(isZstd(Uint8Array.from([0x50, 0x2a, 0x4d, 0x18]))).toBe(true);
    expect(isZstd(Uint8Array.from([0x60, 0x2a, 0x4d, 0x18]))).toBe(false);
    expect(isZstd(Buffer.from('(ds)^2'))).toBe(false);
    expect(isZstd(Uint8Array.from(MAGIC.slice(0, 3)))).toBe(false);
  });
});

describe('length', () => {
  const params = (checksum: number) => ({ params: { [zlib.constants.ZSTD_c_checksumFlag]: checksum } });
  const frames: readonly (readonly [string, Uint8Array])[] = [
    ['compressed blocks', zlib.zstdCompressSync(noise(300_000), params(1))],
    ['run-length blocks', zlib.zstdCompressSync(new Uint8Array(300_000), params(0))],
    ['raw blocks', zlib.zstdCompressSync(crypto.getRandomValues(new Uint8Array(3000)), params(1))],
    ['nothing', zlib.zstdCompressSync(new Uint8Array(0), params(0))],
    ['a skippable frame', Uint8Array.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 7, 8, 9])],
  ];

  test.for(frames)('of %s: known when all is there, in one go or step by step', ([, frame]) => {
    const followed = Buffer.concat([noise(5), frame, noise(70)]);
    expect(frameLength(followed, 5)).toBe(frame.byteLength);
    expect(frameLength(frame.subarray(0, frame.byteLength - 1))).toBeNull();
    const measure = new FrameMeasure();
    const step = Math.max(1, Math.floor(frame.byteLength / 500));
    for (let length = 0; length < frame.byteLength; length += step) {
      expect(measure.advance(frame.subarray(0, length))).toBeNull();
      expect(measure.need).toBeGreaterThan(length);
      expect(measure.need).toBeLessThanOrEqual(Math.max(frame.byteLength, 8));
    }
    expect(measure.advance(frame)).toBe(frame.byteLength);
  });

  test('a block of the reserved type, and one that is too long', () => {
    const before = [...MAGIC, 0b10_0000, 5];
    expect(() => frameLength(Uint8Array.from([...before, 0b111, 0, 0]))).toThrow(/malformed/);
    expect(() => frameLength(Uint8Array.from([...before, 0b001, 0, 0xff]))).toThrow(/malformed/);
  });
});
