// Invariant: a restore begins where it may fit, and nowhere else; a file system that does not tell its size is tried, and
// leaves no trace of that; one that takes no files is named as such, not as a full one.
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { LocalFileError } from '../core/errors.ts';
import { checkFreeSpace } from './free-space.ts';
import { realTargetSystem } from './target-system.ts';

const withFree = (bytes: number | null) => ({ ...realTargetSystem, freeBytes: () => Promise.resolve(bytes) });

test('as much as is there, and not one byte more', async () => {
  await using place = await temporaryDirectory();
  const target = { disk: place.at(), leftovers: [] };
  await checkFreeSpace({ system: withFree(100), target, bytesNeeded: 100 });
  const short = checkFreeSpace({ system: withFree(99), target, bytesNeeded: 100 });
  await expect(short).rejects.toThrow(/not enough space at .* at least 100 bytes, and 99 bytes are available/);
});

test('of a file system that does not tell its size nothing is supposed', async () => {
  await using place = await temporaryDirectory();
  await checkFreeSpace({ system: withFree(null), target: { disk: place.at(), leftovers: [] }, bytesNeeded: 1e15 });
  expect(await readdir(place.at())).toEqual([]);
});

test('one of the kernel is no full disk', async () => {
  const target = { disk: '/proc', leftovers: [] };
  const failure = checkFreeSpace({ system: realTargetSystem, target, bytesNeeded: 0 });
  await expect(failure).rejects.toThrow(LocalFileError);
  await expect(failure).rejects.toThrow(
    /^\/proc cannot be restored to: no directory can be made in its file system \(E[A-Z]+\)$/,
  );
  await expect(failure).rejects.toHaveProperty('hint', 'Restore to a disk with -o. Nothing was fetched or written.');
});
