/** Whether a directory holds a database already, which is what `-if-db-not-exists` asks. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { localFileError, systemCode } from '../core/errors.ts';
import {
  CLOG_DIR,
  parseReplicaId,
  parseSegmentName,
  parseSnapshotDirName,
  REPLICAS_DIR,
  SNAPSHOTS_DIR,
} from '../spacetimedb/file-names.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { isStagingInside } from './staging-names.ts';

/**
 * True when `clog/` has a segment longer than its header, or `snapshots/` has a snapshot; of a server data directory
 * when any replica of it has. A directory in which a restore was not finished holds no database.
 *
 * @throws LocalFileError when that cannot be read, which is not absence
 */
export async function databaseExists(directory: string): Promise<boolean> {
  try {
    const names = await namesIn(directory);
    if (names.some(isStagingInside)) return false;
    if (await replicaExists(directory)) return true;
    for (const name of await namesIn(join(directory, REPLICAS_DIR))) {
      if (parseReplicaId(name) !== null && (await replicaExists(join(directory, REPLICAS_DIR, name)))) return true;
    }
    return false;
  } catch (error) {
    throw localFileError('look for a database in', directory, error);
  }
}

async function replicaExists(directory: string): Promise<boolean> {
  const snapshots = await namesIn(join(directory, SNAPSHOTS_DIR));
  if (snapshots.some((name) => parseSnapshotDirName(name) !== null)) return true;
  const clog = join(directory, CLOG_DIR);
  for (const name of await namesIn(clog)) {
    if (parseSegmentName(name) !== null && (await stat(join(clog, name))).size > SEGMENT_HEADER_BYTES) return true;
  }
  return false;
}

/** Empty where there is no such directory. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return [];
    throw error;
  }
}
