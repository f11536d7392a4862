/** Invariant: the prefix of a reducer call's record comes back; any other bytes are null, and none makes it throw. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Micros, micros } from '../core/types.ts';
import { decodeRecordPrefix, encodeRecord, RECORD_HAS_INPUTS, RECORD_PREFIX_BYTES_MAX } from './record-prefix.ts';

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString('hex'));

const prefix = fc.record({
  reducer: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((name) => Buffer.byteLength(name) <= 255),
  time: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): Micros => micros(value)),
  callerIdentity: hex(32),
  callerConnectionId: hex(16),
});

describe('a record prefix', () => {
  test('comes back, whatever follows', () => {
    fc.assert(
      fc.property(prefix, fc.uint8Array({ maxLength: 50 }), (fields, args) => {
        expect(decodeRecordPrefix(encodeRecord({ ...fields, args }))).toEqual(fields);
      }),
    );
  });

  test('is within the first RECORD_PREFIX_BYTES_MAX bytes, and not when one of its own is missing', () => {
    const record = encodeRecord({ reducer: 'x'.repeat(255), time: micros(1n) });
    expect(record.byteLength).toBe(RECORD_PREFIX_BYTES_MAX);
    expect(decodeRecordPrefix(record)?.time).toBe(1n);
    for (let bytes = 0; bytes < record.byteLength; bytes++) {
      expect(decodeRecordPrefix(record.subarray(0, bytes))).toBeNull();
    }
  });

  test('is null where the inputs are too short for a call', () => {
    const record = encodeRecord({ reducer: 'join', time: micros(1n) });
    new DataView(record.buffer, record.byteOffset).setUint32(1, 1 + 4 + 32 + 16 + 7, true);
    expect(decodeRecordPrefix(record)).toBeNull();
  });

  test('is null without inputs', () => {
    const record = encodeRecord({ reducer: 'join', time: micros(1n) });
    record[0] = 0xff & ~RECORD_HAS_INPUTS;
    expect(decodeRecordPrefix(record)).toBeNull();
  });

  test('is read from any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const found = decodeRecordPrefix(Uint8Array.of(RECORD_HAS_INPUTS, ...bytes));
        expect(found === null || found.callerIdentity.length === 64).toBe(true);
        decodeRecordPrefix(bytes);
      }),
    );
  });
});
