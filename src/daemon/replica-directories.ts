/** Whether a path is a whole server data directory, for commands that want one database. */
import { diskFiles } from '../core/readable-files.ts';
import { classifyDirectory } from '../spacetimedb/classify-directory.ts';

/** The replica directories in it; null where it is none. @throws LocalFileError */
export async function findReplicaDirectories(path: string): Promise<readonly string[] | null> {
  const found = await classifyDirectory(diskFiles, path);
  return found.kind === 'server' ? found.replicas : null;
}
