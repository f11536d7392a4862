/** Invariant: an object passes only under the name that its bytes have; no byte of a page's file goes unchecked. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { blake3Hex } from '../core/checksum.ts';
import { CorruptionError } from '../core/errors.ts';
import { formatObjectPath } from './file-names.ts';
import { checkObject, hashPage, PAGE_ROW_DATA_BYTES } from './page.ts';
import { decodeSnapshotFile, listObjects } from './snapshot-file.ts';

const directory = join(vectorDirectory('v2-small'), 'snapshots/00000000000000000180.snapshot_dir');
const objects = listObjects(
  decodeSnapshotFile(readFileSync(join(directory, '00000000000000000180.snapshot_bsatn'))),
).map((object) => ({ ...object, bytes: readFileSync(join(directory, formatObjectPath(object.hash))) }));
const pages = objects.filter(({ kind }) => kind === 'page');
const blobs = objects.filter(({ kind }) => kind === 'blob');

describe('objects of a real snapshot', () => {
  test('are what their names say', () => {
    expect(pages).toHaveLength(12);
    expect(blobs).toHaveLength(8);
    for (const object of objects) checkObject(object);
    for (const { hash, bytes } of pages) expect(hashPage(bytes)).toBe(hash);
  });

  test('are not each other, and not of the other kind', () => {
    for (const [index, object] of objects.entries()) {
      const other = objects[(index + 1) % objects.length];
      if (other === undefined) continue;
      expect(() => checkObject({ ...object, bytes: other.bytes })).toThrow(CorruptionError);
      const kind = object.kind === 'page' ? 'blob' : 'page';
      expect(() => checkObject({ ...object, kind })).toThrow(CorruptionError);
    }
  });
});

describe('a page', () => {
  const page = pages[0];
  if (page === undefined) throw new Error('no page');
  const fixedBytes = page.bytes.byteLength - PAGE_ROW_DATA_BYTES;

  test('with a flipped bit anywhere before its rows is refused', () => {
    for (let bit = 0; bit < fixedBytes * 8; bit++) {
      const bytes = Uint8Array.from(page.bytes);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => checkObject({ ...page, bytes })).toThrow(CorruptionError);
    }
  });

  test('with a flipped bit in its rows, cut or longer is refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: fixedBytes, max: page.bytes.byteLength - 1 }), (index) => {
        expect(() =>
          checkObject({ ...page, bytes: Uint8Array.from(page.bytes).with(index, page.bytes.readUInt8(index) ^ 4) }),
        ).toThrow(CorruptionError);
        expect(() => checkObject({ ...page, bytes: page.bytes.subarray(0, index) })).toThrow(CorruptionError);
      }),
      { numRuns: 30 },
    );
    expect(() => checkObject({ ...page, bytes: Buffer.concat([page.bytes, Buffer.of(0)]) })).toThrow(CorruptionError);
  });

  test('that holds no hash of itself is proven by its name alone', () => {
    const hashAt = fixedBytes - 4 - 32 - 4;
    const bytes = Buffer.concat([page.bytes.subarray(0, hashAt - 1), Buffer.of(1), page.bytes.subarray(hashAt + 36)]);
    expect(hashPage(bytes)).toBe(page.hash);
    checkObject({ ...page, bytes });
  });

  test('of any bytes is a hash or corruption', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => hashPage(bytes)).toThrow(CorruptionError);
        expect(() => checkObject({ kind: 'page', hash: page.hash, bytes })).toThrow(CorruptionError);
      }),
    );
  });
});

test('any blob passes under its own hash, and under no other', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (bytes, other) => {
      checkObject({ kind: 'blob', hash: blake3Hex(bytes), bytes });
      fc.pre(Buffer.compare(bytes, other) !== 0);
      expect(() => checkObject({ kind: 'blob', hash: blake3Hex(bytes), bytes: other })).toThrow(CorruptionError);
    }),
  );
});
