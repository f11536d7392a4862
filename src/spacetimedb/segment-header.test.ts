/** Invariant: only the two known versions with CRC32C pass; an unknown version is told apart from damage. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.ts';

describe('a segment header', () => {
  test('comes back', () => {
    for (const version of [0, 1] as const) {
      expect(decodeSegmentHeader(encodeSegmentHeader({ version }))).toEqual({ version });
    }
  });

  test('may be followed by anything, and its reserved bytes may be anything', () => {
    const bytes = new Uint8Array(20).fill(255);
    bytes.set(encodeSegmentHeader({ version: 1 }));
    bytes.set([7, 7], SEGMENT_HEADER_BYTES - 2);
    expect(decodeSegmentHeader(bytes)).toEqual({ version: 1 });
  });

  test('of every other version or algorithm is refused by name', () => {
    const path = 'clog/00000000000000000086.stdb.log';
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }), (version, checksum) => {
        const bytes = encodeSegmentHeader({ version: 1 });
        bytes.set([version, checksum], 6);
        if (version <= 1 && checksum === 0) return;
        expect(() => decodeSegmentHeader(bytes, { path })).toThrow(UnsupportedFormatError);
        expect(() => decodeSegmentHeader(bytes, { path })).toThrow(`${path} has format version ${version}`);
      }),
    );
  });

  test('without its magic, or short, is damage', () => {
    const whole = encodeSegmentHeader({ version: 1 });
    for (let bytes = 0; bytes < SEGMENT_HEADER_BYTES; bytes++) {
      expect(() => decodeSegmentHeader(whole.subarray(0, bytes))).toThrow(CorruptionError);
    }
    for (let index = 0; index < 6; index++) {
      expect(() => decodeSegmentHeader(whole.with(index, 0))).toThrow(CorruptionError);
    }
  });
});
