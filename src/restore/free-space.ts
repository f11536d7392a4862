/**
 * Free space is looked at before anything is fetched. What is known then is a lower bound of the need: a snapshot's
 * plain bytes are in its manifest, but the plain size of a log object stands at its end, and asking each of them would
 * cost a request for each; so its stored size counts, which is never more. A disk that fills up all the same ends the
 * restore with the system's own error, and nothing is left behind.
 */
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LocalFileError, systemCode } from '../core/errors.ts';
import { formatBytes } from './format-bytes.ts';
import { diskBytesOf } from './adopt-leftover.ts';
import { newStagingInside } from './staging-names.ts';
import type { RestoreTarget } from './target.ts';
import type { TargetSystem } from './target-system.ts';

export interface FreeSpaceOptions {
  readonly system: TargetSystem;
  readonly target: Pick<RestoreTarget, 'disk' | 'leftovers'>;
  /** At least so much will be written. */
  readonly bytesNeeded: number;
}

/** @throws LocalFileError when the target cannot fit, or its file system takes no files */
export async function checkFreeSpace({ system, target, bytesNeeded }: FreeSpaceOptions): Promise<void> {
  const { disk: directory, leftovers } = target;
  // What an unfinished restore left is gone on with, or removed.
  const bytesThere = await system.freeBytes(directory);
  if (bytesThere === null) return requireTakesFiles(directory);
  const bytesFree = bytesThere + (await diskBytesOf(leftovers));
  if (bytesFree >= bytesNeeded) return;
  throw new LocalFileError(
    `not enough space at ${directory}: the restore needs at least ${formatBytes(bytesNeeded)}, ` +
      `and ${formatBytes(bytesFree)} are available`,
    {
      hint: 'Free space on this disk, or restore to another one with -o. Nothing was fetched or written.',
      facts: { path: directory, bytesNeeded, bytesFree, systemCode: 'ENOSPC' },
    },
  );
}

/** A file system that does not tell its size may be one that only shows what the kernel knows. */
async function requireTakesFiles(directory: string): Promise<void> {
  const trial = join(directory, newStagingInside());
  try {
    await mkdir(trial);
  } catch (cause) {
    throw new LocalFileError(
      `${directory} cannot be restored to: no directory can be made in its file system (${systemCode(cause)})`,
      {
        cause,
        hint: 'Restore to a disk with -o. Nothing was fetched or written.',
        facts: { path: directory, systemCode: systemCode(cause) },
      },
    );
  }
  await rmdir(trial);
}
