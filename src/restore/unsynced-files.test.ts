/** Invariant: what `finish` has passed is synced and closed; a failure is told with its file, and leaves nothing open. */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { UnsyncedFiles } from './unsynced-files.ts';

/** A file that tells of its fsync; `fail` makes that fail. */
function watched(handle: FileHandle, synced: string[], { path, fail }: { path: string; fail: boolean }): FileHandle {
  const sync = handle.sync.bind(handle);
  handle.sync = async () => {
    if (fail) throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
    await sync();
    synced.push(path);
  };
  return handle;
}

async function addFiles(
  directory: string,
  files: UnsyncedFiles,
  { count, failing = -1 }: { count: number; failing?: number },
): Promise<{ handles: FileHandle[]; synced: string[]; failure: unknown }> {
  const handles: FileHandle[] = [];
  const synced: string[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const path = join(directory, `file-${index}`);
      const handle = watched(await open(path, 'wx'), synced, { path, fail: index === failing });
      handles.push(handle);
      await handle.writeFile('whole');
      await files.add({ path, handle });
    }
    await files.finish();
    return { handles, synced, failure: null };
  } catch (failure) {
    return { handles, synced, failure };
  }
}

/** Of a closed handle. */
const CLOSED = -1;

test('every file is synced once and closed, none of many is open for long', async () => {
  await using directory = await temporaryDirectory();
  await using files = new UnsyncedFiles();
  const { handles, synced, failure } = await addFiles(directory.path, files, { count: 300 });
  expect(failure).toBe(null);
  expect(new Set(synced).size).toBe(300);
  expect(synced).toHaveLength(300);
  expect(handles.every(({ fd }) => fd === CLOSED)).toBe(true);
});

test('one that cannot be synced is named, whichever it is, and all are closed', async () => {
  for (const failing of [0, 63, 64, 130, 149]) {
    await using directory = await temporaryDirectory();
    const handles: FileHandle[] = [];
    {
      await using files = new UnsyncedFiles();
      const added = await addFiles(directory.path, files, { count: 150, failing });
      handles.push(...added.handles);
      expect(String(added.failure)).toContain(`file-${failing}`);
    }
    expect(handles.every(({ fd }) => fd === CLOSED)).toBe(true);
  }
});
