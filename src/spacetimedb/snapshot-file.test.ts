/**
 * Invariant: a snapshot comes back from its bytes; a wrong byte anywhere is corruption; what is whole and unknown is
 * unsupported, not corruption.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { Blake3 } from '../core/checksum.ts';
import { CorruptionError, ReplicateError, UnsupportedFormatError } from '../core/errors.ts';
import { txOffset, U64_MAX } from '../core/types.ts';
import { decodeSnapshotFile, encodeSnapshotFile, listObjects, type Snapshot } from './snapshot-file.ts';

const anyHash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .filter((hash) => hash !== '0'.repeat(64));
const anyU64 = fc.bigInt({ min: 0n, max: U64_MAX });
const anyU32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyU16 = fc.integer({ min: 0, max: 0xffff });

const anySnapshot: fc.Arbitrary<Snapshot> = fc.record({
  databaseIdentity: anyHash,
  replicaId: anyU64,
  txOffset: anyU64.map(txOffset),
  moduleAbiVersion: fc.tuple(anyU16, anyU16),
  blobs: fc.array(fc.record({ hash: anyHash, uses: anyU32 }), { maxLength: 5 }),
  tables: fc.array(fc.record({ id: anyU32, pages: fc.array(fc.option(anyHash), { maxLength: 5 }) }), { maxLength: 5 }),
});

/** A file whose hash is right, whatever its content. */
const sealed = (content: Uint8Array): Uint8Array => Buffer.concat([new Blake3().update(content).digest(), content]);

describe('a snapshot file', () => {
  test('comes back', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        expect(decodeSnapshotFile(encodeSnapshotFile(snapshot))).toEqual(snapshot);
      }),
    );
  });

  test('of a real server comes back byte for byte', () => {
    const name = '00000000000000000180';
    const directory = join(vectorDirectory('v2-small'), 'snapshots', `${name}.snapshot_dir`);
    const bytes = readFileSync(join(directory, `${name}.snapshot_bsatn`));
    const snapshot = decodeSnapshotFile(bytes);
    expect(snapshot).toMatchObject({
      databaseIdentity: 'c200abbd6f5d52fc6e21c9350e865add936106f7bc37213321cb90fdff47c13d',
      replicaId: 22000042n,
      txOffset: 180n,
      moduleAbiVersion: [7, 0],
    });
    expect(Buffer.from(encodeSnapshotFile(snapshot))).toEqual(bytes);
  });

  test('with any bit flipped, or cut short, is corrupt', () => {
    const path = 'snapshots/x';
    fc.assert(
      fc.property(anySnapshot, fc.nat(), (snapshot, bit) => {
        const bytes = Uint8Array.from(encodeSnapshotFile(snapshot));
        const cut = bytes.subarray(0, bit % bytes.byteLength);
        expect(() => decodeSnapshotFile(cut, { path })).toThrow(CorruptionError);
        const index = (bit >> 3) % bytes.byteLength;
        bytes[index] = (bytes[index] as number) ^ (1 << (bit & 7));
        expect(() => decodeSnapshotFile(bytes, { path })).toThrow(CorruptionError);
        expect(() => decodeSnapshotFile(bytes, { path })).toThrow(path);
      }),
    );
  });

  test('that is whole and not of the known form is refused as unsupported', () => {
    fc.assert(
      fc.property(anySnapshot, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 9 }), (snapshot, cut, more) => {
        const content = encodeSnapshotFile(snapshot).subarray(32);
        for (const other of [
          content.subarray(0, cut % content.byteLength),
          Buffer.concat([content, more]),
          Uint8Array.from(content).fill(0x78, 4, 5),
          Uint8Array.from(content).fill(1, 8, 9),
        ]) {
          expect(() => decodeSnapshotFile(sealed(other))).toThrow(UnsupportedFormatError);
        }
      }),
    );
  });

  test('of any content throws nothing but our errors', () => {
    fc.assert(
      fc.property(anySnapshot, fc.uint8Array({ maxLength: 12 }), fc.nat(), (snapshot, patch, place) => {
        const content = Uint8Array.from(encodeSnapshotFile(snapshot).subarray(32));
        content.set(patch.subarray(0, content.byteLength), place % Math.max(1, content.byteLength - patch.byteLength));
        for (const bytes of [sealed(content), content, sealed(patch), patch]) {
          try {
            decodeSnapshotFile(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ReplicateError);
          }
        }
      }),
    );
  });
});

test('objects are listed once, in the order of the file, and absent pages are none', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
  const snapshot: Snapshot = {
    databaseIdentity: a,
    replicaId: 1n,
    txOffset: txOffset(1),
    moduleAbiVersion: [7, 0],
    blobs: [{ hash: c, uses: 2 }],
    tables: [
      { id: 1, pages: [b, null, a] },
      { id: 2, pages: [a, b] },
    ],
  };
  expect(listObjects(snapshot)).toEqual([
    { hash: c, kind: 'blob' },
    { hash: b, kind: 'page' },
    { hash: a, kind: 'page' },
  ]);
});
