/** Invariant: rising entries come back, and any bytes give a rising list of places that a number can hold. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteOffset, txOffset, U64_MAX } from '../core/types.ts';
import { decodeOffsetIndex, encodeOffsetIndex, findIndexEntry, type OffsetIndexEntry } from './offset-index.ts';

const anyEntries = fc
  .array(fc.tuple(fc.bigInt({ min: 1n, max: U64_MAX }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })), {
    maxLength: 20,
  })
  .map((pairs): OffsetIndexEntry[] => {
    const txs = [...new Set(pairs.map(([tx]) => tx))].sort((a, b) => (a < b ? -1 : 1));
    const places = [...new Set(pairs.map(([, at]) => at))].sort((a, b) => a - b);
    return txs.slice(0, places.length).map((tx, i) => ({ tx: txOffset(tx), at: byteOffset(places[i] ?? 0) }));
  });

describe('an offset index', () => {
  test('comes back, with and without room after it', () => {
    fc.assert(
      fc.property(anyEntries, fc.nat({ max: 500 }), (entries, bytes) => {
        const encoded = encodeOffsetIndex(entries, bytes);
        expect(encoded.byteLength).toBe(Math.max(bytes, entries.length * 16));
        expect(decodeOffsetIndex(encoded)).toEqual(entries);
      }),
    );
  });

  test('ends at the first entry that does not rise, is zero, is cut, or is beyond every file', () => {
    const entry = (tx: bigint, at: bigint): Uint8Array => {
      const bytes = new Uint8Array(16);
      new DataView(bytes.buffer).setBigUint64(0, tx, true);
      new DataView(bytes.buffer).setBigUint64(8, at, true);
      return bytes;
    };
    const good = entry(5n, 100n);
    for (const bad of [
      entry(0n, 0n),
      entry(5n, 200n),
      entry(4n, 200n),
      entry(6n, 100n),
      entry(6n, 2n ** 53n),
      entry(6n, 200n).subarray(0, 15),
    ]) {
      const later = bad.byteLength < 16 ? new Uint8Array(0) : entry(9n, 900n);
      expect(decodeOffsetIndex(Buffer.concat([good, bad, later]))).toEqual([{ tx: 5n, at: 100 }]);
    }
  });

  test('is read from any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const entries = decodeOffsetIndex(bytes);
        expect(encodeOffsetIndex(entries)).toEqual(Uint8Array.from(bytes.subarray(0, entries.length * 16)));
      }),
    );
  });

  test('gives the last entry at or before an offset', () => {
    fc.assert(
      fc.property(anyEntries, fc.bigInt({ min: 0n, max: U64_MAX }), (entries, tx) => {
        const expected = entries.filter((entry) => entry.tx <= tx).at(-1) ?? null;
        expect(findIndexEntry(entries, txOffset(tx))).toEqual(expected);
      }),
    );
  });
});
