/** Failed system calls of the readers in this room become LocalFileErrors that name the path. */
import { localFileError, ReplicateError, systemCode } from '../core/errors.ts';

/** Runs `work`, which reads `path`. Only errors of the system are translated: everything else passes as it is. */
export async function readingFrom<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ReplicateError || systemCode(error) === null) throw error;
    throw localFileError('read', path, error);
  }
}
