/**
 * What a restore leaves that was told to stop, or whose store went away: its work, for the next one to go on with. After
 * any other failure it leaves nothing: what is damaged stays damaged, and a full disk must not stay full.
 */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { primaryError, systemCode } from '../core/errors.ts';
import { UnauthorizedError, UnavailableError } from '../replica/replica-client.ts';

export interface UnfinishedRestore {
  /** The staging directory. Absolute. */
  readonly path: string;
  /** Written of databases, as files. */
  readonly bytes: number;
}

/** Told once, right before the restore fails. */
export type OnUnfinished = (left: UnfinishedRestore) => void;

/** Whether the same restore, begun again, may well end where this one failed. */
export function isResumable(error: unknown, signal: AbortSignal): boolean {
  const primary = primaryError(error);
  return signal.aborted || primary instanceof UnavailableError || primary instanceof UnauthorizedError;
}

/** Of all files below; 0 where there is no such directory. */
export async function fileBytesBelow(directory: string): Promise<number> {
  let bytes = 0;
  try {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) bytes += await fileBytesBelow(path);
      else if (entry.isFile()) bytes += (await lstat(path)).size;
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  return bytes;
}
