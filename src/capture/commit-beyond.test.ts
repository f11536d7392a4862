// Invariant: a good commit behind a bad place is found with and without an offset index; what only looks like one is
// not believed, and never-written space holds none.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory, type TemporaryDirectory } from '../../test/support/temporary-directory.ts';
import { diskFiles } from '../core/readable-files.ts';
import { byteOffset, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader, type LogVersion, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { findCommitBeyond, SEARCHED_BYTES_MAX } from './commit-beyond.ts';

let place: TemporaryDirectory;
beforeEach(async () => {
  place = await temporaryDirectory();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const first = 4_294_967_290n;
const commitsOf = (sizes: readonly number[], version: LogVersion): Uint8Array[] =>
  sizes.map((size, index) =>
    encodeCommit({ version, tx: txOffset(first + BigInt(index)), records: new Uint8Array(size).fill(index + 1) }),
  );

async function findIn(bytes: Uint8Array, version: LogVersion = 1) {
  const path = join(place.at(), formatSegmentName(txOffset(first)));
  await writeFile(path, Buffer.concat([encodeSegmentHeader({ version }), bytes]));
  const at = byteOffset(SEGMENT_HEADER_BYTES);
  const position = { segment: txOffset(first), at, nextTx: txOffset(first) };
  const found = await findCommitBeyond({ files: diskFiles, directory: place.at() }, position);
  await rm(path);
  return found;
}

test('whatever byte is bad: the next good commit is found', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 5 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom<LogVersion>(0, 1),
      async (sizes, where, change, version) => {
        const commits = commitsOf(sizes, version);
        const bytes = Buffer.concat(commits);
        const bad = where % (commits[0]?.byteLength ?? 1);
        bytes[bad] = (bytes[bad] ?? 0) ^ change;
        expect((await findIn(bytes, version))?.tx).toBe(first + 1n);
      },
    ),
    { numRuns: 60 },
  );
});

test('a whole sector of zeros or of garbage', async () => {
  const commits = Buffer.concat(commitsOf([200, 200, 200, 200, 200], 1));
  for (const fill of [0, 0x55]) {
    const bytes = Buffer.from(commits);
    bytes.fill(fill, 0, 512);
    expect((await findIn(bytes))?.tx).toBe(first + 3n);
  }
});

test('a commit longer than what is searched is passed by its own length', async () => {
  const commits = commitsOf([SEARCHED_BYTES_MAX + 1000, 50], 1);
  const bytes = Buffer.concat(commits);
  bytes[100] = 0;
  expect((await findIn(bytes))?.tx).toBe(first + 1n);
});

test('none: a torn commit, never-written space, headers without their commits', async () => {
  const [commit, next] = commitsOf([100, 100], 1) as [Uint8Array, Uint8Array];
  expect(await findIn(commit.subarray(0, 90))).toBeNull();
  expect(await findIn(Buffer.alloc(2 * SEARCHED_BYTES_MAX))).toBeNull();
  expect(await findIn(Buffer.concat(Array.from({ length: 600 }, () => next.subarray(0, 60))))).toBeNull();
});
