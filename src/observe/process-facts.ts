/** What the system knows of this process, read when somebody asks. Source: proc(5). */
import { readFile } from 'node:fs/promises';

export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly startTimeSeconds: number;
}

/** USER_HZ, which is 100 on every Linux that is supported. */
const TICKS_A_SECOND = 100;

export async function readProcessFacts(): Promise<ProcessFacts> {
  const [stat, status, system] = await Promise.all([
    readFile('/proc/self/stat', 'utf8'),
    readFile('/proc/self/status', 'utf8'),
    readFile('/proc/stat', 'utf8'),
  ]);
  // The second field is the command's name in parentheses, and may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (index: number): number => Number(fields[index]) / TICKS_A_SECOND;
  return {
    cpuSeconds: ticks(11) + ticks(12),
    residentBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024,
    startTimeSeconds: Number(/^btime (\d+)/m.exec(system)?.[1]) + ticks(19),
  };
}
