/** Invariant: a commit's header comes back from its bytes, whatever the u64 values, and its checksum covers all of it. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../core/checksum.ts';
import { AssertionError } from '../core/errors.ts';
import { txOffset, U64_MAX } from '../core/types.ts';
import { COMMIT_CRC_BYTES, COMMIT_HEADER_BYTES, decodeCommitHeader, encodeCommit } from './commit.ts';

const u64 = fc.bigInt({ min: 0n, max: U64_MAX });

describe.each([0, 1] as const)('a commit of version %i', (version) => {
  const fields = fc.record({
    tx: u64.map(txOffset),
    epoch: version === 0 ? fc.constant(0n) : u64,
    count: fc.integer({ min: 0, max: 0xffff }),
    records: fc.uint8Array({ maxLength: 300 }),
  });

  test('comes back', () => {
    fc.assert(
      fc.property(fields, ({ tx, epoch, count, records }) => {
        const bytes = encodeCommit({ version, tx, epoch, count, records });
        expect(decodeCommitHeader(bytes, version)).toEqual({
          tx,
          epoch,
          count,
          recordsBytes: records.byteLength,
          bytes: bytes.byteLength,
        });
        const crcAt = bytes.byteLength - COMMIT_CRC_BYTES;
        expect(bytes.subarray(COMMIT_HEADER_BYTES[version], crcAt)).toEqual(records);
        expect(new DataView(bytes.buffer).getUint32(crcAt, true)).toBe(crc32c(bytes.subarray(0, crcAt)));
      }),
    );
  });

  test('has no header in fewer bytes', () => {
    const bytes = encodeCommit({ version, tx: txOffset(1), records: new Uint8Array(9) });
    for (let length = 0; length < COMMIT_HEADER_BYTES[version]; length++) {
      expect(decodeCommitHeader(bytes.subarray(0, length), version)).toBeNull();
    }
  });

  test('is decoded from any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const header = decodeCommitHeader(bytes, version);
        return (header === null) === bytes.byteLength < COMMIT_HEADER_BYTES[version];
      }),
    );
  });
});

test('an epoch in version 0 is our bug', () => {
  expect(() => encodeCommit({ version: 0, tx: txOffset(0), epoch: 1n, records: new Uint8Array(0) })).toThrow(
    AssertionError,
  );
});
