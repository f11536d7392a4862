// Invariant: a snapshots directory that cannot be listed is told of by its path; one that is not there is empty.
import { expect, test } from 'vitest';
import { LocalFileError } from '../core/errors.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { listSnapshotNames } from './snapshots.ts';

test('a failed call names the directory', async () => {
  const failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  const files: ReadableFiles = { ...diskFiles, list: () => Promise.reject(failure) };
  const listed = listSnapshotNames(files, '/db/snapshots');
  await expect(listed).rejects.toThrow(LocalFileError);
  await expect(listed).rejects.toThrow('/db/snapshots');
});

test('none is there', async () => {
  expect(await listSnapshotNames(diskFiles, '/nowhere/snapshots')).toEqual([]);
});
