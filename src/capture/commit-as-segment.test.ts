// Invariant: what is given are the log's own bytes, whichever reads of the disk fail; else nothing is.
import { writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultyFiles } from '../../test/support/faulty-files.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { LocalFileError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { readCommitAsSegment } from './commit-as-segment.ts';

const HEADER = encodeSegmentHeader({ version: 1 });
const COMMITS = [0, 1, 2].map((tx) =>
  encodeCommit({ version: 1, tx: txOffset(tx), records: new Uint8Array(5_000).fill(tx + 1) }),
);
const EXPECTED = Buffer.concat([HEADER, COMMITS[1] as Uint8Array]);

async function withLog(act: (directory: string) => Promise<void>): Promise<void> {
  await using place = await temporaryDirectory();
  await writeFile(place.at(formatSegmentName(txOffset(0))), Buffer.concat([HEADER, ...COMMITS]));
  await act(place.at());
}

test('a commit as a segment of its own', async () => {
  await withLog(async (directory) => {
    const source = { files: diskFiles, directory };
    const found = await readCommitAsSegment(source, txOffset(1), { commitBytesMax: 10_000 });
    expect(found?.position.tx).toBe(1n);
    expect(Buffer.from(found?.bytes ?? []).equals(EXPECTED)).toBe(true);
    expect(await readCommitAsSegment(source, txOffset(3), { commitBytesMax: 10_000 })).toBe(null);
    expect(await readCommitAsSegment(source, txOffset(1), { commitBytesMax: 10 })).toBe(null);
  });
});

test('any reads fail: the right bytes, or an error that speaks of the file', async () => {
  await withLog(async (directory) => {
    let given = 0;
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 0, max: 14 }), { maxLength: 10 }), async (failing) => {
        let reads = 0;
        const fails = (_: number, call: string): 'EIO' | null =>
          call === 'file.read' && failing.includes(reads++) ? 'EIO' : null;
        const files = new FaultyFiles(diskFiles, { fails });
        try {
          const found = await readCommitAsSegment({ files, directory }, txOffset(1), { commitBytesMax: 10_000 });
          expect(Buffer.from(found?.bytes ?? []).equals(EXPECTED)).toBe(true);
          given += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(LocalFileError);
        }
        expect(files.openFiles).toBe(0);
      }),
      { numRuns: 500 },
    );
    expect(given).toBeGreaterThan(50);
  });
});
