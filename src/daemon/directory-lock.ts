/**
 * Keeps servers out of a database's directory for as long as a standby writes it: the lock that a server takes itself,
 * flock(2) on `db.lock`. Node cannot take it, so a child process holds it: flock(1) of util-linux or busybox, around
 * `cat`, which echoes a line once the lock is there and ends when its stdin does, however this process ends.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { localFileError, systemCode, TargetInUseError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { lockState } from '../restore/file-locks.ts';
import type { DirectoryLock, LockDirectory } from '../restore/follow/directory-lock.ts';
import { realTargetSystem, type TargetSystem } from '../restore/target-system.ts';
import { DB_LOCK_FILE } from '../spacetimedb/file-names.ts';

export interface LockDirectoryOptions {
  readonly log: Log;
  /** For PATH. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For tests. */
  readonly system?: Pick<TargetSystem, 'readLocks'>;
  readonly program?: string;
}

const READY = 'locked\n';

export function directoryLocker(options: LockDirectoryOptions): LockDirectory {
  const { log, system = realTargetSystem } = options;
  return async (directory) => {
    const path = join(directory, DB_LOCK_FILE);
    await makeLockFile(path, directory);
    const look = (): Promise<boolean> => isLocked(path, system);
    if (await look()) throw inUse(directory);
    const child = await holdLock(path, options);
    if (child === 'held') throw inUse(directory);
    if (child !== null) return heldBy(child, directory);
    log.warn('flock(1) is not there: a server that is started on this directory will not be kept out', { directory });
    const check = async (): Promise<void> => {
      if (await look()) throw inUse(directory);
    };
    return { check, [Symbol.asyncDispose]: () => Promise.resolve() };
  };
}

/** Belongs to whom the directory belongs, where that may be: a server must be able to open it. @throws LocalFileError */
async function makeLockFile(path: string, directory: string): Promise<void> {
  try {
    await using file = await open(path, 'a');
    const { uid, gid } = await stat(directory);
    await file.chown(uid, gid).catch((error: unknown) => {
      if (systemCode(error) !== 'EPERM') throw error;
    });
  } catch (error) {
    throw localFileError('open', path, error);
  }
}

async function isLocked(path: string, system: Pick<TargetSystem, 'readLocks'>): Promise<boolean> {
  const { dev, ino } = await stat(path, { bigint: true });
  return lockState(await system.readLocks(), { device: dev, inode: ino }) === 'held';
}

/** Null where there is no flock(1). */
async function holdLock(
  path: string,
  { env, program = 'flock' }: LockDirectoryOptions,
): Promise<ChildProcessWithoutNullStreams | 'held' | null> {
  // Of a session of its own: a Ctrl-C in the terminal must not take the lock away before the last write.
  const child = spawn(program, ['-n', path, 'cat'], { env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  // A child that is gone says so by `exit`; writing to it then fails as well.
  child.stdin.on('error', () => undefined);
  child.stderr.resume();
  const ready = once(child.stdout, 'data').then(() => 'ready' as const);
  const ended = new Promise<'gone' | 'absent'>((resolve) => {
    child.once('error', () => resolve('absent'));
    child.once('exit', () => resolve('gone'));
  });
  child.stdin.write(READY);
  ready.catch(() => undefined);
  const outcome = await Promise.race([ready, ended]);
  if (outcome === 'ready') return child;
  return outcome === 'gone' ? 'held' : null;
}

function heldBy(child: ChildProcessWithoutNullStreams, directory: string): DirectoryLock {
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    check: () => (isOver() ? Promise.reject(lockLost(directory)) : Promise.resolve()),
    async [Symbol.asyncDispose]() {
      if (isOver()) return;
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}

const inUse = (directory: string): TargetInUseError =>
  new TargetInUseError(`a server, or another standby, has ${directory} open`, {
    hint: 'Stop it first. A standby that a server has written to is no standby any more.',
    facts: { path: directory, locked: true },
  });

const lockLost = (directory: string): TargetInUseError =>
  new TargetInUseError(`the lock on ${directory} was lost: the process that held it for us was ended`, {
    hint: 'Nothing more was written. Start again, when no server uses the directory.',
    facts: { path: directory, locked: false },
  });
