/**
 * Invariant: built from a segment's commits, an index has exactly the entries that the engine wrote beside that segment;
 * each names a commit's first transaction and start.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { byteOffset, txOffset } from '../core/types.ts';
import { CommitScanner } from './commit-scanner.ts';
import { formatOffsetIndexName } from './file-names.ts';
import { decodeOffsetIndex } from './offset-index.ts';
import { OffsetIndexBuilder } from './offset-index-builder.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { openSegment, type SegmentReader } from './segment-reader.ts';
import { listSegments } from './segments.ts';

async function buildFrom(reader: SegmentReader): Promise<OffsetIndexBuilder> {
  const builder = new OffsetIndexBuilder();
  const onCommit = builder.add.bind(builder);
  const scanner = new CommitScanner({ version: reader.version ?? 1, expectedTx: reader.tx, onCommit });
  scanner.push(await reader.read(byteOffset(SEGMENT_HEADER_BYTES), await reader.plainBytes()));
  return builder;
}

describe('beside real segments', () => {
  test.each(['v2-small', 'v2-compressed', 'v2-damaged/none'] as const)('%s', async (name) => {
    const clog = join(vectorDirectory(name), 'clog');
    const segments = await listSegments(diskFiles, clog);
    expect(segments.length).toBeGreaterThan(1);
    for (const entry of segments) {
      await using reader = await openSegment(diskFiles, entry);
      if (reader === null) throw new Error(`${entry.path} is gone`);
      const real = readFileSync(join(clog, formatOffsetIndexName(entry.tx)));
      const builder = await buildFrom(reader);
      expect(builder.entries).toEqual(decodeOffsetIndex(real));
      expect(builder.entries.length).toBeGreaterThan(0);
      const encoded = builder.encode(byteOffset(await reader.plainBytes()));
      expect(decodeOffsetIndex(encoded)).toEqual(builder.entries);
      expect(encoded.byteLength).toBe(Math.floor((await reader.plainBytes()) / 4096) * 16);
    }
  });
});

test('entries rise, are commits, are an interval apart but for the one after offset 0, and have room', () => {
  fc.assert(
    fc.property(fc.nat({ max: 3 }), fc.array(fc.integer({ min: 26, max: 9000 }), { maxLength: 60 }), (first, sizes) => {
      const builder = new OffsetIndexBuilder();
      const starts = new Map<bigint, number>();
      let at = 10;
      for (const [index, size] of sizes.entries()) {
        const tx = txOffset(first + index);
        starts.set(tx, at);
        builder.add({ tx, start: byteOffset(at), end: byteOffset(at + size) });
        at += size;
      }
      const { entries } = builder;
      for (const [index, { tx, at: place }] of entries.entries()) {
        expect(starts.get(tx)).toBe(place);
        expect(tx).not.toBe(0n);
        const before = entries[index - 1];
        if (before && before.tx !== 1n) expect(place - before.at).toBeGreaterThanOrEqual(4096);
      }
      expect(decodeOffsetIndex(builder.encode(byteOffset(at)))).toEqual(entries);
    }),
  );
});
