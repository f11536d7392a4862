/**
 * The exclusive right to replace one object: a lock file beside it that says which process holds it.
 *
 * Responsible for: one holder at a time among all processes that use this; breaking the lock of a process that is
 * proven dead. Not responsible for: programs that write into the directory by other means.
 * Invariants: a lock file appears whole and durable (temporary, fsync, link), so that one that was left behind by a
 * crash always names its process. Who breaks a lock first takes the right to break exactly that lock (its token), and
 * then looks again whether it still stands: two breakers can never remove each other's new lock.
 */
import { randomBytes } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../../core/errors.ts';
import { isProvenDead, type ProcessIdentity, readProcessIdentity } from '../../core/process-identity.ts';
import { UnavailableError } from '../replica-client.ts';
import { linkNew, temporaryBeside } from './file-publish.ts';

/** Names of our locks: `.stdb-lock-<name of the object>`. Listings skip them. */
export const LOCK_PREFIX = '.stdb-lock-';
const POLL_FIRST_MS = 2;
const POLL_MAX_MS = 100;

interface LockContent {
  readonly token: string;
  readonly process: ProcessIdentity;
}

export interface FileLockOptions {
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Called at each look, so that waiting is not taken for a store that does not answer. */
  readonly onWait?: () => void;
  /** Who takes it; default: this process. */
  readonly self?: ProcessIdentity;
}

export const lockPathOf = (path: string): string => join(dirname(path), `${LOCK_PREFIX}${basename(path)}`);

let ownIdentity: Promise<ProcessIdentity> | undefined;

/**
 * Waits for the lock of `path` and holds it until disposed.
 *
 * @throws UnavailableError naming the lock file when its holder does not let go within `timeoutMs`
 */
export async function acquireFileLock(path: string, options: FileLockOptions): Promise<AsyncDisposable> {
  ownIdentity ??= readProcessIdentity();
  const self = options.self ?? (await ownIdentity);
  const lockPath = lockPathOf(path);
  const until = performance.now() + options.timeoutMs;
  for (let waitMs = POLL_FIRST_MS; ; waitMs = Math.min(POLL_MAX_MS, waitMs * 2)) {
    options.signal.throwIfAborted();
    if (await tryAcquire(lockPath, self)) return { [Symbol.asyncDispose]: () => rm(lockPath, { force: true }) };
    if (performance.now() >= until) throw await lockHeld(lockPath);
    options.onWait?.();
    await pause(waitMs * (0.5 + Math.random()), options.signal);
  }
}

async function tryAcquire(lockPath: string, self: ProcessIdentity): Promise<boolean> {
  // Reading first: whoever waits asks often, and making a lock costs an fsync.
  const held = await readLock(lockPath);
  if (held === 'absent') return createLock(lockPath, self);
  if (held === null || !(await isProvenDead(held.process, self))) return false;
  const breaking = `${lockPath}.${held.token}`;
  if (!(await tryAcquire(breaking, self))) return false;
  try {
    const now = await readLock(lockPath);
    if (now !== null && now !== 'absent' && now.token === held.token) await rm(lockPath);
  } finally {
    await rm(breaking, { force: true });
  }
  return createLock(lockPath, self);
}

async function createLock(lockPath: string, self: ProcessIdentity): Promise<boolean> {
  const temporary = temporaryBeside(lockPath);
  const content: LockContent = { token: randomBytes(8).toString('hex'), process: self };
  try {
    {
      await using file = await open(temporary, 'wx');
      await file.writeFile(`${JSON.stringify(content)}\n`);
      await file.sync();
    }
    return await linkNew(temporary, lockPath);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Null when it says nothing that proves anything. */
async function readLock(lockPath: string): Promise<LockContent | 'absent' | null> {
  let text: string;
  try {
    text = await readFile(lockPath, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    return decodeLock(JSON.parse(text));
  } catch {
    // Not of our making: its holder's death cannot be proven, so it is waited for and named in the error.
    return null;
  }
}

function decodeLock(value: unknown): LockContent | null {
  const { token, process } = value as { token?: unknown; process?: Partial<ProcessIdentity> };
  if (typeof token !== 'string' || !/^[0-9a-f]{16}$/.test(token) || typeof process?.pid !== 'number') return null;
  const text = (field: unknown): string | null => (typeof field === 'string' ? field : null);
  return {
    token,
    process: {
      machineId: text(process.machineId),
      bootId: text(process.bootId),
      pidNamespace: text(process.pidNamespace),
      pid: process.pid,
      startTime: text(process.startTime),
      host: text(process.host) ?? 'unknown',
    },
  };
}

async function lockHeld(lockPath: string): Promise<UnavailableError> {
  const held = await readLock(lockPath);
  const holder =
    held === null || held === 'absent' ? 'an unknown process' : `process ${held.process.pid} on ${held.process.host}`;
  return new UnavailableError(`${lockPath} is held by ${holder}`, {
    hint: 'When no such process writes to this backup any more, remove the lock file.',
    facts: { path: lockPath },
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', leave);
      resolve();
    }, ms);
    signal.addEventListener('abort', leave, { once: true });
  });
}
