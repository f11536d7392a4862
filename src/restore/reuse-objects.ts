/** Objects of a snapshot that an earlier attempt wrote: each is read again, and counts only if its hash proves it. */
import { constants } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CorruptionError, localFileError } from '../core/errors.ts';
import { OBJECTS_DIR } from '../spacetimedb/file-names.ts';
import { checkObject } from '../spacetimedb/page.ts';
import type { ObjectKind } from '../spacetimedb/snapshot-file.ts';
import { concurrently } from './concurrently.ts';
import type { FetchOptions } from './fetch-parts.ts';
import { KEPT_FREE_BYTES } from './read-snapshot.ts';

const READ_PARALLELISM = 4;

export interface ReuseObjectsOptions {
  /** What the snapshot file names. */
  readonly wanted: ReadonlyMap<string, ObjectKind>;
  readonly fetch: Pick<FetchOptions, 'budget' | 'signal'>;
}

/**
 * The hashes of the objects that are there, whole and right. Whatever else lies in the snapshot's directory is removed.
 *
 * @throws LocalFileError
 */
export async function reuseObjects(directory: string, options: ReuseObjectsOptions): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const objectsDir = join(directory, OBJECTS_DIR);
  try {
    for (const name of await readdir(directory)) {
      if (name !== OBJECTS_DIR) await rm(join(directory, name), { recursive: true, force: true });
    }
    for (const prefix of await readdir(objectsDir)) {
      const parent = join(objectsDir, prefix);
      const check = async (rest: string): Promise<void> => {
        const hash = prefix + rest;
        const path = join(parent, rest);
        if (await isObject(path, hash, options)) found.add(hash);
        else await rm(path, { recursive: true, force: true });
      };
      await concurrently(await readdir(parent), check, { limit: READ_PARALLELISM });
    }
  } catch (error) {
    if (options.fetch.signal.aborted) throw error;
    throw localFileError('go on in', directory, error);
  }
  return found;
}

async function isObject(path: string, hash: string, { wanted, fetch }: ReuseObjectsOptions): Promise<boolean> {
  const { budget, signal } = fetch;
  signal.throwIfAborted();
  const kind = wanted.get(hash);
  if (kind === undefined) return false;
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { size } = await file.stat();
  // While a part of the manifest is held, so much is never granted: to wait for it would be to wait for ever.
  if (size > budget.bytesMax - KEPT_FREE_BYTES) return false;
  using _share = await budget.take(size, { signal });
  try {
    checkObject({ kind, hash, bytes: await file.readFile() });
    return true;
  } catch (error) {
    if (error instanceof CorruptionError) return false;
    throw error;
  }
}
