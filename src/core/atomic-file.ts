/** Files that appear whole or not at all: temporary sibling, write, fsync, rename or link, fsync of the directory. */
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes the names in `directory` durable. */
export async function fsyncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

export interface AtomicWriteOptions {
  /** `create` fails with EEXIST where the name is taken; `replace` takes it over. */
  readonly mode: 'create' | 'replace';
  readonly signal?: AbortSignal | undefined;
}

/** Names of unfinished files of ours: `.stdb-tmp-<random>`. Whoever lists a directory skips them. */
export const TEMPORARY_PREFIX = '.stdb-tmp-';

export async function writeFileAtomic(
  path: string,
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { mode, signal }: AtomicWriteOptions,
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}`);
  try {
    {
      await using file = await open(temporary, 'wx');
      for await (const bytes of body) {
        signal?.throwIfAborted();
        await file.writeFile(bytes);
      }
      await file.sync();
    }
    signal?.throwIfAborted();
    if (mode === 'replace') await rename(temporary, path);
    else await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await fsyncDirectory(directory);
}
