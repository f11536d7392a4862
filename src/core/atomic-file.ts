/** What it takes that a file appears whole or not at all: temporary sibling, write, fsync, rename or link, and this. */
import { open } from 'node:fs/promises';

/** Names of unfinished files of ours: `.stdb-tmp-<random>`. Whoever lists a directory skips them. */
export const TEMPORARY_PREFIX = '.stdb-tmp-';

/** Makes the names in `directory` durable. */
export async function fsyncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}
