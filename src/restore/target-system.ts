/** What the restore asks of the operating system for its target, as a port: one disk and root cannot play every case. */
import { constants } from 'node:fs';
import { access, chown, type FileHandle, open, readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../core/errors.ts';

export interface TargetSystem {
  /** Whether something is mounted exactly at this existing directory. */
  isMountPoint(directory: string): Promise<boolean>;
  /** Whether this process may create and rename entries in the directory. */
  isWritable(directory: string): Promise<boolean>;
  /** Bytes that this process may still write on the file system of an existing directory; null where that tells none. */
  freeBytes(directory: string): Promise<number | null>;
  /** Content of proc(5)'s `locks`; null where it cannot be read. */
  readLocks(): Promise<string | null>;
  /** A new file, open for writing; fails with EEXIST where there is one. */
  createFile(path: string): Promise<FileHandle>;
  /** A file that an earlier attempt wrote, open for appending; no link is followed. */
  reopenFile(path: string): Promise<FileHandle>;
  /** Of a directory; fails with EPERM where this process may not. */
  setOwner(path: string, owner: { readonly uid: number; readonly gid: number }): Promise<void>;
}

/** proc(5), mountinfo: the fifth field is the mount point; blank, tab, newline and backslash are octal escapes. */
export function parseMountPoints(mountinfo: string): ReadonlySet<string> {
  const points = new Set<string>();
  for (const line of mountinfo.split('\n')) {
    const point = line.split(' ')[4];
    if (point === undefined) continue;
    points.add(point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))));
  }
  return points;
}

async function readProc(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    // Hidden in some sandboxes. What these files would tell is then found out in another way, or said to be unknown.
    return null;
  }
}

export const realTargetSystem: TargetSystem = {
  async isMountPoint(directory) {
    // Another device says so where mountinfo is hidden; mountinfo says so for a bind mount of the same device.
    const [own, parent] = await Promise.all([stat(directory), stat(dirname(directory))]);
    if (own.dev !== parent.dev) return true;
    const mountinfo = await readProc('/proc/self/mountinfo');
    return mountinfo !== null && parseMountPoints(mountinfo).has(directory);
  },
  async isWritable(directory) {
    try {
      await access(directory, constants.W_OK | constants.X_OK);
      return true;
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS'].includes(systemCode(error) ?? '')) return false;
      throw error;
    }
  },
  async freeBytes(directory) {
    const { blocks, bavail, bsize } = await statfs(directory);
    // Those of the kernel (proc, sysfs) have no blocks, and some of FUSE and of the network do not count them.
    return blocks === 0 ? null : bavail * bsize;
  },
  readLocks: () => readProc('/proc/locks'),
  createFile: (path) => open(path, 'wx'),
  reopenFile: (path) => open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW),
  setOwner: (path, { uid, gid }) => chown(path, uid, gid),
};
