/** The most memory that a process has held. */
import { readFile } from 'node:fs/promises';

const MIB = 1024 * 1024;

/** Node and the SDK need 90 MiB before the first byte; 32 MiB of buffers, and the copies that are on their way to the sockets, come on top. */
export const PEAK_BYTES_MAX = 256 * MIB;

/** VmHWM of proc(5). */
export async function peakBytes({ pid }: { readonly pid: number }): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
