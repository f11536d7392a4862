/**
 * How many threads wait for the file system. The runtime has four, which is few where each wait is a disk's: thousands of
 * small files are made and synced at once, and a log is written beside them.
 */
import { access } from 'node:fs';

/** What libuv reads, once, when its pool gets its first work. */
const VARIABLE = 'UV_THREADPOOL_SIZE';
/** A thread that has never worked holds a few KiB. */
export const POOL_THREADS = 16;

/**
 * For the whole process, and of no effect when the pool has been used: to be called before all else. What the user has
 * set stays, and children never see it.
 *
 * @param env the process's own, not a copy
 */
export function widenThreadPool(env: NodeJS.ProcessEnv): void {
  if (env[VARIABLE] !== undefined) return;
  env[VARIABLE] = String(POOL_THREADS);
  // Any work will do: the pool is made within the call.
  access('/', () => undefined);
  delete env[VARIABLE];
}
