/**
 * Removes the temporary files that killed writers left behind in a `file:` store.
 *
 * Invariants: only plain files whose whole name is that of a temporary of ours, and whose content nobody has touched for
 * a day, by the file system's own clock: a writer touches its temporary with every piece that it writes, and none waits
 * for a day between two. Links are not followed. One that is gone meanwhile is no failure.
 */
import { lstat, opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { systemCode } from '../../core/errors.ts';
import { isKeyPart } from '../keys.ts';

export const LEFT_BEHIND_MS = 24 * 60 * 60 * 1000;
const NAMES_AT_ONCE = 256;
const TEMPORARY_NAME = new RegExp(`^${TEMPORARY_PREFIX.replaceAll('.', '\\.')}[0-9a-f]{16}$`);

export interface SweepOptions {
  readonly signal: AbortSignal;
  /** Milliseconds since 1970 by the clock that stamps the files: that of a server, on a network file system. */
  readonly nowMs: number;
}

/** Gives the number of files removed. @throws system errors other than absence, as they are */
export async function sweepTemporaries(directory: string, options: SweepOptions): Promise<number> {
  const { signal, nowMs } = options;
  let removed = 0;
  // Name by name: a directory of log objects may hold a hundred thousand.
  const entries = await unlessAbsent(opendir(directory, { bufferSize: NAMES_AT_ONCE }));
  if (entries === null) return 0;
  for await (const entry of entries) {
    signal.throwIfAborted();
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (isKeyPart(entry.name)) removed += await sweepTemporaries(path, options);
    } else if (entry.isFile() && TEMPORARY_NAME.test(entry.name) && (await isLeftBehind(path, nowMs))) {
      await rm(path, { force: true });
      removed += 1;
    }
  }
  return removed;
}

async function isLeftBehind(path: string, nowMs: number): Promise<boolean> {
  const facts = await unlessAbsent(lstat(path));
  return facts !== null && facts.isFile() && nowMs - facts.mtimeMs >= LEFT_BEHIND_MS;
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}
