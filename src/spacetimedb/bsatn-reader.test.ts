/** Invariant: no read leaves the bytes, and a count never promises more than can follow. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BsatnReader, MalformedBsatn } from './bsatn-reader.ts';

test('integers are little-endian', () => {
  const reader = new BsatnReader(Uint8Array.of(1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 128));
  expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([1, 2, 3, 2n ** 63n + 4n]);
  reader.requireEnd();
  expect(() => reader.u8()).toThrow(MalformedBsatn);
});

test('an array must have the length that belongs there', () => {
  const bytes = Uint8Array.of(2, 0, 0, 0, 7, 8);
  expect(new BsatnReader(bytes).fixedBytes(2)).toEqual(Uint8Array.of(7, 8));
  expect(() => new BsatnReader(bytes).fixedBytes(3)).toThrow(MalformedBsatn);
  expect(() => new BsatnReader(bytes.subarray(0, 5)).fixedBytes(2)).toThrow(MalformedBsatn);
});

test('a count is held against the bytes that are left', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), fc.integer({ min: 1, max: 40 }), (bytes, each) => {
      const declared = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      const reader = new BsatnReader(bytes);
      if (declared * each <= bytes.byteLength - 4) expect(reader.count(each)).toBe(declared);
      else expect(() => reader.count(each)).toThrow(MalformedBsatn);
    }),
  );
});

test('what is left over is too much', () => {
  expect(() => new BsatnReader(new Uint8Array(1)).requireEnd()).toThrow('1 bytes too many');
});
