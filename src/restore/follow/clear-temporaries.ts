/** Removes what a standby that was killed left unfinished. Only under its lock. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { localFileError } from '../../core/errors.ts';
import { CLOG_DIR } from '../../spacetimedb/file-names.ts';

/** @throws LocalFileError */
export async function clearTemporaries(directory: string): Promise<void> {
  for (const place of [directory, join(directory, CLOG_DIR)]) {
    try {
      for (const name of await readdir(place)) {
        if (name.startsWith(TEMPORARY_PREFIX)) await rm(join(place, name), { recursive: true, force: true });
      }
    } catch (error) {
      throw localFileError('clear', place, error);
    }
  }
}
