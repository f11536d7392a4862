/**
 * A server that has started, and has no database yet: between its first start and the first publish. To start it again
 * loses nothing where its backup has no database either; else somebody has started it on an empty directory.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { localFileError, systemCode } from '../core/errors.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { databaseExists } from '../restore/database-exists.ts';
import { type RestoreOptions, restore } from '../restore/restore.ts';
import { readKind } from '../restore/server/read-server-store.ts';
import { restoreServer } from '../restore/server/restore-server.ts';
import { isStagingInside } from '../restore/staging-names.ts';
import { METADATA_FILE } from '../spacetimedb/file-names.ts';
import { CONTROL_DB_DIR } from '../spacetimedb/server-files.ts';

/** @throws LocalFileError when the directory cannot be read, which is not absence */
export async function isServerWithoutDatabase(directory: string): Promise<boolean> {
  try {
    const names = await readdir(directory);
    if (names.some(isStagingInside)) return false;
    return (names.includes(METADATA_FILE) || names.includes(CONTROL_DB_DIR)) && !(await databaseExists(directory));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
    throw localFileError('look for a server in', directory, error);
  }
}

export type BackupOptions = Pick<RestoreOptions, 'target' | 'budget' | 'clock' | 'log' | 'signal' | 'parallelism'>;

/**
 * Whether what would be restored from here has no database in it, as far as is proven: one that the backup names and
 * cannot give counts.
 *
 * @throws NoBackupError and what a plan throws
 */
export async function isBackupWithoutDatabase(client: ReplicaClient, options: BackupOptions): Promise<boolean> {
  const { signal, target } = options;
  // Any place where nothing is: nothing is written.
  const plan = { ...options, client, target: join(target, 'nothing'), dryRun: true };
  if ((await readKind({ client, signal })) !== 'server') {
    await restore(plan);
    return false;
  }
  const clientAt = (prefix: string): ReplicaClient => prefixedClient(client, prefix);
  const { replicas, missing, passedOver } = await restoreServer({ ...plan, clientAt, partial: true });
  return replicas.length === 0 && missing.length === 0 && passedOver.length === 0;
}
