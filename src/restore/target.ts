/**
 * Where a restore may write, decided before anything is written: only into a directory that is absent or empty, and
 * through a staging directory from which the result is renamed.
 *
 * Staged beside the target, `.<name>.stdb-restore-<id>`, where one rename can publish it. Inside the target,
 * `.stdb-restore-<id>`, where that rename cannot work: the target is a mount point or holds
 * `lost+found`, or its parent is not writable.
 */
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { localFileError, ReplicateError, systemCode, TargetInUseError, UsageError } from '../core/errors.ts';
import { DB_LOCK_FILE } from '../spacetimedb/file-names.ts';
import { lockState } from './file-locks.ts';
import { PUBLISHING_ORDER } from './publishing-order.ts';
import { readLivingOwner } from './staging-owner.ts';
import { isStagingBeside, isStagingInside, LOST_AND_FOUND } from './staging-names.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';

export interface RestoreTarget {
  /** Absolute; links are resolved. */
  readonly path: string;
  readonly exists: boolean;
  readonly staging: 'beside' | 'inside';
  /** An existing directory on the file system that will hold the target: itself, or the nearest one above it. */
  readonly disk: string;
  /** Absolute paths of what an unfinished restore left: taken over or removed when this one begins. */
  readonly leftovers: readonly string[];
}

export interface InspectTargetOptions {
  readonly system?: TargetSystem;
}

/**
 * @throws TargetInUseError when the target holds something, or a running restore writes to it
 * @throws LocalFileError when it can be neither read nor written
 */
export async function inspectTarget(target: string, options: InspectTargetOptions = {}): Promise<RestoreTarget> {
  const { system = realTargetSystem } = options;
  const path = await resolveTarget(target);
  try {
    const names = await listTarget(path);
    const parent = await nearestExisting(dirname(path));
    const exists = names !== null;
    const inside =
      exists &&
      // rename(2) replaces a directory only where it is really empty.
      (names.includes(LOST_AND_FOUND) || (await system.isMountPoint(path)) || !(await system.isWritable(parent)));
    if (!(await system.isWritable(inside ? path : parent))) {
      throw localFileError(
        'write to',
        inside ? path : parent,
        Object.assign(new Error('no permission'), { code: 'EACCES' }),
      );
    }
    const leftovers = [
      ...(names === null ? [] : await unfinishedInside(path, names, system)),
      ...(parent === dirname(path) ? await unfinishedBeside(path) : []),
    ];
    return { path, exists, staging: inside ? 'inside' : 'beside', disk: inside ? path : parent, leftovers };
  } catch (error) {
    if (error instanceof ReplicateError || systemCode(error) === null) throw error;
    throw localFileError('look at the restore target', path, error);
  }
}

/** @throws UsageError when the target lies in a `file:` store: a restore must not become a part of the backup */
export async function checkTargetOutsideStore(target: string, storeUrl: string): Promise<void> {
  if (!storeUrl.startsWith('file:')) return;
  const root = await resolveTarget(decodeURIComponent(new URL(storeUrl).pathname));
  const path = await resolveTarget(target);
  if (path !== root && !path.startsWith(root === '/' ? root : `${root}/`)) return;
  throw new UsageError(`the restore target ${path} lies in the store ${root}`, {
    hint: 'Choose a directory outside of the backup with -o.',
    facts: { path, store: root },
  });
}

/** The absolute path with every link in its existing part resolved. */
async function resolveTarget(target: string): Promise<string> {
  const absolute = resolve(target);
  const existing = await nearestExisting(absolute);
  return existing === absolute
    ? await realpath(absolute)
    : join(await realpath(existing), absolute.slice(existing.length));
}

/** The path itself, or the deepest of its parents that is there. A link that leads nowhere is there, and an error. */
async function nearestExisting(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    try {
      await lstat(at);
      await stat(at);
      return at;
    } catch (error) {
      const linkToNowhere = systemCode(error) === 'ENOENT' && (await isLink(at));
      if (linkToNowhere || systemCode(error) !== 'ENOENT' || at === dirname(at)) {
        throw localFileError('look at the restore target', at, error);
      }
    }
  }
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Null when there is nothing of that name. */
async function listTarget(path: string): Promise<readonly string[] | null> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    if (systemCode(error) !== 'ENOTDIR') throw error;
    throw new TargetInUseError(`the restore target ${path} is not a directory`, {
      hint: 'Choose another directory with -o.',
      facts: { path },
    });
  }
}

async function unfinishedInside(path: string, names: readonly string[], system: TargetSystem): Promise<string[]> {
  const content = names.filter((name) => name !== LOST_AND_FOUND);
  const stagings = content.filter(isStagingInside).map((name) => join(path, name));
  // What an unfinished restore has published already is as unfinished as the rest of it, and nothing else is.
  const isOurs = (name: string): boolean => stagings.length > 0 && PUBLISHING_ORDER.includes(name);
  const published = content.filter(isOurs);
  const foreign = content.filter((name) => !isStagingInside(name) && !isOurs(name));
  if (foreign.length > 0) throw await inUseError(path, foreign, system);
  await refuseRunning(stagings, path);
  // The staging directories last: while one is there, the target counts as unfinished.
  return [...published.map((name) => join(path, name)), ...stagings];
}

async function unfinishedBeside(path: string): Promise<string[]> {
  const parent = dirname(path);
  const own = (await readdir(parent)).filter((name) => isStagingBeside(name, basename(path)));
  const stagings = own.map((name) => join(parent, name));
  await refuseRunning(stagings, path);
  return stagings;
}

async function refuseRunning(stagings: readonly string[], path: string): Promise<void> {
  for (const staging of stagings) {
    const owner = await readLivingOwner(staging);
    if (owner === null) continue;
    throw new TargetInUseError(`another restore, process ${owner.pid}, is writing to ${path}`, {
      hint: 'Wait until it has ended, or choose another directory with -o.',
      facts: { path, pid: owner.pid },
    });
  }
}

const NAMES_SHOWN = 5;

async function inUseError(path: string, names: readonly string[], system: TargetSystem): Promise<TargetInUseError> {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  const hint = 'A restore never touches a directory that holds something: choose another one with -o, or move it away.';
  const facts = { path, entries: names.length };
  const holds = `it holds ${shown}${more}`;
  if (!names.includes(DB_LOCK_FILE)) {
    return new TargetInUseError(`the restore target ${path} is not empty: ${holds}`, { hint, facts });
  }
  const { dev, ino } = await stat(join(path, DB_LOCK_FILE), { bigint: true });
  const locks = await system.readLocks();
  if (lockState(locks, { device: dev, inode: ino }) === 'held') {
    return new TargetInUseError(`a server has the restore target ${path} open: ${holds}`, {
      hint: 'Stop the server first, then choose an empty directory, or move this one away.',
      facts: { ...facts, locked: true },
    });
  }
  return new TargetInUseError(
    `the restore target ${path} is not empty: ${holds}. No lock on its ${DB_LOCK_FILE} is seen from here, ` +
      'which does not prove that no server has it open: one in another container would not be seen',
    { hint, facts },
  );
}
