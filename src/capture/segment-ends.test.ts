// Invariant: which commits end where is told alike with an offset index, without one, and with one that lies; with a good
// one little is read between commits that lie far from each other.
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LongLog } from '../../test/support/long-log.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { diskFiles, type ReadableFile, type ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, txOffset } from '../core/types.ts';
import { COMMIT_HEADER_BYTES } from '../spacetimedb/commit.ts';
import { formatOffsetIndexName } from '../spacetimedb/file-names.ts';
import { encodeOffsetIndex, type OffsetIndexEntry } from '../spacetimedb/offset-index.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';
import { badPlaceOf } from './local-log.ts';
import { readSegmentEnds } from './segment-ends.ts';

const COMMITS = 400;
const RECORD_BYTES = 64 * 1024;
const COMMIT_BYTES = COMMIT_HEADER_BYTES[1] + RECORD_BYTES + 4;

const placeOf = (commit: number): number => SEGMENT_HEADER_BYTES + commit * COMMIT_BYTES;
const entry = (tx: number, commit = tx): OffsetIndexEntry => ({
  tx: txOffset(BigInt(tx)),
  at: byteOffset(placeOf(commit)),
});
const some = (step: number): number[] => Array.from({ length: COMMITS / step - 1 }, (_, index) => (index + 1) * step);

const INDEXES: Readonly<Record<string, Uint8Array>> = {
  none: new Uint8Array(0),
  good: encodeOffsetIndex(some(1).map((tx) => entry(tx))),
  sparse: encodeOffsetIndex(some(50).map((tx) => entry(tx))),
  'of another history': encodeOffsetIndex(some(7).map((tx) => entry(tx, tx + 0.5))),
  garbage: Buffer.alloc(160, 0x5a),
};

async function withLog(act: (clog: string, segment: SegmentEntry) => Promise<void>): Promise<void> {
  await using place = await temporaryDirectory();
  const log = await LongLog.create(place.at('db'));
  await log.append(COMMITS, { bytes: RECORD_BYTES });
  const clog = place.at('db/clog');
  const [segment] = await listSegments(diskFiles, clog);
  if (segment === undefined) throw new Error('no segment');
  await act(clog, segment);
}

const useIndex = (clog: string, bytes: Uint8Array): Promise<void> =>
  writeFile(join(clog, formatOffsetIndexName(txOffset(0n))), bytes);

function countingFiles(): { files: ReadableFiles; counts: { bytes: number } } {
  const counts = { bytes: 0 };
  const files: ReadableFiles = {
    ...diskFiles,
    open: async (path) => {
      const file = await diskFiles.open(path);
      if (file === null || !path.endsWith('.log')) return file;
      const read: ReadableFile['read'] = async (target, position) => {
        const got = await file.read(target, position);
        counts.bytes += got;
        return got;
      };
      return {
        path,
        read,
        facts: () => file.facts(),
        close: () => file.close(),
        [Symbol.asyncDispose]: () => file.close(),
      };
    },
  };
  return { files, counts };
}

test('any commits: the same ends with every index', async () => {
  await withLog(async (clog, segment) => {
    const source = { files: diskFiles, directory: clog };
    const all = Array.from({ length: COMMITS }, (_, tx) => txOffset(BigInt(tx)));
    await useIndex(clog, INDEXES['none'] as Uint8Array);
    const { ends: expected } = await readSegmentEnds(source, segment, { wanted: all });
    expect(expected.size).toBe(COMMITS);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: COMMITS - 1 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(...Object.keys(INDEXES)),
        async (wanted, index) => {
          await useIndex(clog, INDEXES[index] as Uint8Array);
          const ascending = wanted.sort((a, b) => a - b).map((tx) => txOffset(BigInt(tx)));
          const held = await readSegmentEnds(source, segment, { wanted: ascending });
          expect([...held.ends]).toEqual(ascending.map((tx) => [tx, expected.get(tx)]));
          expect(held.bad).toEqual([]);
          expect(held.lastTx).toBeGreaterThanOrEqual(ascending.at(-1) ?? 0n);
        },
      ),
      { numRuns: 25 },
    );
  });
});

test('two commits at the ends of a long segment are not read for through all of it', async () => {
  await withLog(async (clog, segment) => {
    await useIndex(clog, INDEXES['good'] as Uint8Array);
    const { files, counts } = countingFiles();
    const wanted = [txOffset(3n), txOffset(BigInt(COMMITS - 2))];
    const { ends } = await readSegmentEnds({ files, directory: clog }, segment, { wanted });
    expect(ends.size).toBe(2);
    expect(counts.bytes).toBeLessThan(segment.size / 4);
  });
});

test('a file of which every other commit is bad: nothing is told of what is not read', async () => {
  await withLog(async (_, segment) => {
    const bytes = await readFile(segment.path);
    for (let commit = 0; commit < COMMITS - 1; commit += 2)
      bytes.writeUInt8(bytes.readUInt8(placeOf(commit) + 1_000) ^ 0xff, placeOf(commit) + 1_000);
    await writeFile(segment.path, bytes);
    const last = txOffset(BigInt(COMMITS - 1));
    const held = await readSegmentEnds({ files: diskFiles, directory: dirname(segment.path) }, segment, {
      wanted: [last],
    });
    expect(held.ends.has(last) || badPlaceOf(last, held) !== null).toBe(true);
  });
});
