/** What the kernel says of a process: CPU time and peak memory. Linux only, as the program is. */
import { readFileSync } from 'node:fs';

/** The kernel's clock ticks a second: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Places after the name in /proc/PID/stat: utime, stime, and both of children that were waited for. */
const OWN_TIMES = [11, 12] as const;
const CHILDREN_TIMES = [13, 14] as const;

function readTimes(pid: number | 'self', places: readonly number[]): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return places.reduce((sum, place) => sum + Number(fields[place]), 0) / TICKS_PER_SECOND;
}

/** CPU seconds, user and system, of a process with all its threads. */
export const cpuSeconds = (pid: number): number => readTimes(pid, OWN_TIMES);

/** CPU seconds of all children of this process that have ended. */
export const endedChildrenCpuSeconds = (): number => readTimes('self', CHILDREN_TIMES);

/** Peak resident memory in bytes; null when the process has ended. */
export function peakRss(pid: number): number | null {
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}
