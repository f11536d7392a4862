/**
 * Who a process is, so that another one on the same machine can prove that it is dead: machine, boot, pid namespace,
 * pid and start time. Source of the fields: proc(5).
 */
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { systemCode } from './errors.ts';

export interface ProcessIdentity {
  /** /etc/machine-id; null where there is none. */
  readonly machineId: string | null;
  readonly bootId: string | null;
  /** The inode of /proc/self/ns/pid, as decimal digits. */
  readonly pidNamespace: string | null;
  readonly pid: number;
  /** Clock ticks since boot (field 22 of /proc/<pid>/stat), as decimal digits: a reused pid has another one. */
  readonly startTime: string | null;
  readonly host: string;
}

async function readTrimmed(path: string): Promise<string | null> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    return text === '' ? null : text;
  } catch {
    // Not every container has these files; an unknown identity only means that death cannot be proven.
    return null;
  }
}

/**
 * Whether a process has ended and only its parent has not asked after it, as in a container whose first process asks after
 * none. Not so while another of its threads is still about to end: a call of the system may be under way in it.
 */
const isZombie = (fields: readonly string[]): boolean => fields[0] === 'Z' && Number(fields[17]) <= 1;

/** Null when no process that runs has that pid; throws when that cannot be told. */
async function readStartTime(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command's name in parentheses, and may itself hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return isZombie(fields) ? null : (fields[19] ?? null);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ESRCH') throw error;
    // Where /proc shows a user no processes of others (hidepid, ProtectProc=), absence in it is no absence.
    if (isRunning(pid)) throw error;
    return null;
  }
}

/** Whether some process has that pid, be it another user's. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

async function readPidNamespace(): Promise<string | null> {
  try {
    return /\[(\d+)\]/.exec(await readlink('/proc/self/ns/pid'))?.[1] ?? null;
  } catch {
    return null;
  }
}

export async function readProcessIdentity(): Promise<ProcessIdentity> {
  return {
    machineId: await readTrimmed('/etc/machine-id'),
    bootId: await readTrimmed('/proc/sys/kernel/random/boot_id'),
    pidNamespace: await readPidNamespace(),
    pid: process.pid,
    startTime: await readStartTime(process.pid).catch(() => null),
    host: hostname(),
  };
}

/**
 * Whether `other` can be proven to have ended: the same boot and pid namespace and no process with that pid and start
 * time; or the same machine booted anew. Anything unknown proves nothing.
 */
export async function isProvenDead(other: ProcessIdentity, self: ProcessIdentity): Promise<boolean> {
  if (other.bootId === null || self.bootId === null) return false;
  if (other.bootId !== self.bootId) return other.machineId !== null && other.machineId === self.machineId;
  if (other.pidNamespace === null || other.pidNamespace !== self.pidNamespace || other.startTime === null) return false;
  try {
    return (await readStartTime(other.pid)) !== other.startTime;
  } catch {
    return false;
  }
}

/** Whether `other` can be seen to run: the same boot and pid namespace, and a process with that pid and start time. */
export async function isProvenAlive(other: ProcessIdentity, self: ProcessIdentity): Promise<boolean> {
  if (other.bootId === null || other.bootId !== self.bootId) return false;
  if (other.pidNamespace === null || other.pidNamespace !== self.pidNamespace || other.startTime === null) return false;
  try {
    return (await readStartTime(other.pid)) === other.startTime;
  } catch {
    return false;
  }
}
