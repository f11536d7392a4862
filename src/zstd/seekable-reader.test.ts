/**
 * Invariant: any range of a compressed file gives the same bytes as that range of the plain one, with a seek table,
 * without one, and with one that lies.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { noise } from '../../test/support/pieces.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { CorruptionError } from '../core/errors.ts';
import { encodeFrameSync } from './frame.ts';
import type { SeekableSource } from './frame-map.ts';
import { decodeSeekTable, encodeSeekTable, SEEK_TABLE_FOOTER_BYTES } from './seek-table.ts';
import { SeekableReader } from './seekable-reader.ts';

const sourceOf = (bytes: Uint8Array): SeekableSource & { reads: number } => ({
  size: bytes.byteLength,
  reads: 0,
  async read(target, position) {
    this.reads += 1;
    const part = bytes.subarray(position, position + target.byteLength);
    target.set(part);
    return part.byteLength;
  },
});

const segment = (name: string): { plain: Buffer; stored: Buffer } => ({
  plain: readFileSync(join(vectorDirectory('v2-small'), 'clog', name)),
  stored: readFileSync(join(vectorDirectory('v2-compressed'), 'clog', name)),
});

async function expectAnyRange(stored: Uint8Array, plain: Uint8Array): Promise<void> {
  const reader = await SeekableReader.open(sourceOf(stored));
  expect(reader.plainBytes).toBe(plain.byteLength);
  const position = fc.nat({ max: plain.byteLength + 10 });
  await fc.assert(
    fc.asyncProperty(position, fc.oneof(fc.nat({ max: 50 }), position), async (from, length) => {
      const got = await reader.read(from, length);
      expect(Buffer.compare(got, plain.subarray(from, from + length))).toBe(0);
    }),
  );
}

describe("a segment compressed by SpacetimeDB's server", () => {
  const { plain, stored } = segment('00000000000000000000.stdb.log');
  const { tableBytes } = decodeSeekTable(stored);
  const frames = stored.subarray(0, stored.byteLength - tableBytes);

  test('any range, by its seek table', () => expectAnyRange(stored, plain));
  test('any range, without a seek table', () => expectAnyRange(frames, plain));
  test('any range, with a table of another file', () =>
    expectAnyRange(Buffer.concat([frames, encodeSeekTable([{ bytes: 5, plainBytes: 5 }])]), plain));

  test('opening takes two small reads, and reading on decodes no frame twice', async () => {
    const source = sourceOf(stored);
    const reader = await SeekableReader.open(source);
    expect(source.reads).toBe(2);
    for (let at = 0; at < 4096; at += 100) await reader.read(at, Math.min(100, 4096 - at));
    expect(source.reads).toBe(3);
  });

  test('a file that is cut short is refused, at once or when the missing part is read', async () => {
    for (const length of [frames.byteLength - 1, 1000, 20]) {
      await expect(SeekableReader.open(sourceOf(stored.subarray(0, length)))).rejects.toThrow(CorruptionError);
    }
    const shrunk: SeekableSource = { ...sourceOf(stored.subarray(0, 1000)), size: stored.byteLength };
    await expect(SeekableReader.open(shrunk)).rejects.toThrow(/ends at byte/);
  });
});

describe('tables that lie', () => {
  const frame = encodeFrameSync(noise(500), { level: 1 });

  test.for([
    ['a longer frame', [{ bytes: frame.byteLength, plainBytes: 501 }]],
    ['a shorter frame', [{ bytes: frame.byteLength, plainBytes: 499 }]],
    [
      'a cut in the wrong place',
      [
        { bytes: 10, plainBytes: 250 },
        { bytes: frame.byteLength - 10, plainBytes: 250 },
      ],
    ],
  ] as const)('%s: refused when it is read', async ([, entries]) => {
    const reader = await SeekableReader.open(sourceOf(Buffer.concat([frame, encodeSeekTable(entries)])));
    await expect(reader.read(0, 600)).rejects.toThrow(CorruptionError);
  });

  test('a frame that is too long to be held, declared by table or header', async () => {
    const bytes = 65 * 1024 * 1024;
    const huge = zlib.zstdCompressSync(new Uint8Array(bytes));
    const table = encodeSeekTable([{ bytes: huge.byteLength, plainBytes: bytes }]);
    await expect(SeekableReader.open(sourceOf(Buffer.concat([huge, table])))).rejects.toThrow(/too many/);
    await expect(SeekableReader.open(sourceOf(huge))).rejects.toThrow(/too many/);
  });

  test('empty frames and skippable ones are passed over', async () => {
    const empty = encodeFrameSync(new Uint8Array(0), { level: 1 });
    const file = Buffer.concat([empty, frame, encodeSeekTable([]), empty, frame, empty]);
    await expectAnyRange(file, Buffer.concat([noise(500), noise(500)]));
    expect(SEEK_TABLE_FOOTER_BYTES).toBe(9);
  });
});
