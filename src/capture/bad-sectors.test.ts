// Invariant: reading through bad sectors gives every byte that can be read, and filler for no other; a disk that fails
// altogether still fails. What stands before a bad sector is found with few tries at it.
import { writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BadSectorFiles } from '../../test/support/bad-sector-files.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { byteOffset } from '../core/types.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { BAD_SECTORS_MAX, bytesBeforeBadSector, SECTOR_BYTES, throughBadSectors } from './bad-sectors.ts';

const NAME = '00000000000000000000.stdb.log';
const SECTORS = 40;

async function withSegment(
  bytes: number,
  act: (path: string, content: Buffer, files: BadSectorFiles) => Promise<void>,
): Promise<void> {
  await using place = await temporaryDirectory();
  const content = Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 8)) % 251));
  content.set(encodeSegmentHeader({ version: 1 }));
  await writeFile(place.at(NAME), content);
  await act(place.at(NAME), content, new BadSectorFiles());
}

test('any read: the bytes of good sectors, filler in the bad ones, the end where the file ends', async () => {
  await withSegment(SECTORS * SECTOR_BYTES - 100, async (path, content, files) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: SECTORS - 1 }), { maxLength: 6 }),
        fc.integer({ min: 0, max: content.byteLength + 50 }),
        fc.integer({ min: 0, max: content.byteLength }),
        async (bad, from, length) => {
          files.bad = bad.map((first) => ({ path: NAME, first, count: 1 }));
          const expected = Buffer.from(content);
          for (const first of bad) expected.subarray(first * SECTOR_BYTES, (first + 1) * SECTOR_BYTES).fill(0xff);
          await using file = await throughBadSectors(files).open(path);
          const target = Buffer.alloc(length);
          const got = (await file?.read(target, from)) ?? -1;
          expect(target.subarray(0, got).equals(expected.subarray(from, from + length))).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('a disk of which more than a little cannot be read is no bad sector', async () => {
  await withSegment((BAD_SECTORS_MAX + 2) * SECTOR_BYTES, async (path, content, files) => {
    files.bad = [{ path: NAME, first: 0, count: BAD_SECTORS_MAX + 1 }];
    await using file = await throughBadSectors(files).open(path);
    await expect(file?.read(Buffer.alloc(content.byteLength), 0)).rejects.toThrow('EIO');
  });
});

test('a bad sector is tried twice, however often it is read over, and what is no segment is not made up', async () => {
  await withSegment(SECTORS * SECTOR_BYTES, async (path, content, files) => {
    files.bad = [{ path: '', first: 3, count: 1 }];
    const through = throughBadSectors(files);
    await using file = await through.open(path);
    for (let reads = 0; reads < 2 * BAD_SECTORS_MAX; reads += 1) {
      expect(await file?.read(Buffer.alloc(content.byteLength), 0)).toBe(content.byteLength);
    }
    expect(files.struck).toBe(2);
    await writeFile(`${path}.ofs`, content);
    await using other = await through.open(`${path}.ofs`);
    await expect(other?.read(Buffer.alloc(content.byteLength), 0)).rejects.toThrow('EIO');
  });
});

test('any bad sector: all before it counts, for at most one failed try for each halving', async () => {
  await withSegment(SECTORS * SECTOR_BYTES, async (path, content, files) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: content.byteLength - 1 }),
        fc.integer({ min: 0, max: SECTORS - 1 }),
        async (from, ahead) => {
          files.bad = [];
          await using reader = await openSegment(files, path);
          const first = Math.min(SECTORS - 1, Math.floor(from / SECTOR_BYTES) + ahead);
          files.bad = [{ path: NAME, first, count: 1 }];
          files.struck = 0;
          if (reader === null) throw new Error('no segment');
          const found = await bytesBeforeBadSector(reader, byteOffset(from), content.byteLength - from);
          expect(found).toBe(Math.max(0, first * SECTOR_BYTES - from));
          expect(files.struck).toBeLessThanOrEqual(Math.ceil(Math.log2(SECTORS)));
        },
      ),
      { numRuns: 200 },
    );
  });
});
