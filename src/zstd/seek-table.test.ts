/** Invariant: a seek table that is read says what was written, and whatever is not exactly a table is refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noise } from '../../test/support/pieces.ts';
import { CorruptionError } from '../core/errors.ts';
import {
  decodeSeekTable,
  encodeSeekTable,
  readSeekTableBytes,
  SEEK_TABLE_FOOTER_BYTES,
  SEEK_TABLE_FRAMES_MAX,
  seekTableBytes,
} from './seek-table.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const frames = fc.array(fc.record({ bytes: u32, plainBytes: u32 }), { maxLength: 50 });

/** The variant that other writers use: a checksum behind each entry, and bit 7 of the descriptor. */
function withChecksums(table: Uint8Array): Uint8Array {
  const entries = (table.byteLength - 17) / 8;
  const parts: Uint8Array[] = [table.slice(0, 8)];
  for (let index = 0; index < entries; index++)
    parts.push(table.slice(8 + index * 8, 16 + index * 8), noise(4, index + 1));
  const footer = table.slice(-SEEK_TABLE_FOOTER_BYTES);
  footer[4] = 0x80;
  const joined = Buffer.concat([...parts, footer]);
  joined.writeUInt32LE(joined.byteLength - 8, 4);
  return joined;
}

describe('seek table', () => {
  test('what is written is read, with and without checksums, behind anything', () => {
    fc.assert(
      fc.property(frames, fc.nat({ max: 40 }), (made, before) => {
        const table = encodeSeekTable(made);
        expect(table.byteLength).toBe(seekTableBytes(made.length));
        for (const form of [table, withChecksums(table)]) {
          const decoded = decodeSeekTable(Buffer.concat([noise(before), form]));
          expect([...decoded.bytes]).toEqual(made.map(({ bytes }) => bytes));
          expect([...decoded.plainBytes]).toEqual(made.map(({ plainBytes }) => plainBytes));
          expect(decoded.tableBytes).toBe(form.byteLength);
          expect(readSeekTableBytes(form.subarray(-SEEK_TABLE_FOOTER_BYTES))).toBe(form.byteLength);
        }
      }),
    );
  });

  test('the bytes of the specification', () => {
    expect(Buffer.from(encodeSeekTable([{ bytes: 0x102, plainBytes: 0x304 }])).toString('hex')).toBe(
      '5e2a4d18110000000201000004030000' + '0100000000b1ea928f',
    );
  });

  test('no table, a cut one, and one with a wrong header are told apart', () => {
    const table = encodeSeekTable([{ bytes: 1, plainBytes: 2 }]);
    expect(readSeekTableBytes(noise(9))).toBeNull();
    expect(readSeekTableBytes(table.subarray(-8))).toBeNull();
    expect(() => decodeSeekTable(noise(30))).toThrow('no seek table');
    expect(() => decodeSeekTable(table.subarray(1))).toThrow('cut short');
    for (const [at, value] of [
      [0, 0x5d],
      [4, 16],
      [20, 4],
    ] as const) {
      const wrong = Uint8Array.from(table);
      wrong[at] = value;
      expect(() => decodeSeekTable(wrong), `byte ${at}`).toThrow(CorruptionError);
    }
  });

  test('a table that declares more frames than there can be is refused from its footer', () => {
    const footer = encodeSeekTable([]).slice(-SEEK_TABLE_FOOTER_BYTES);
    new DataView(footer.buffer).setUint32(0, SEEK_TABLE_FRAMES_MAX + 1, true);
    expect(() => readSeekTableBytes(footer)).toThrow(CorruptionError);
  });
});
