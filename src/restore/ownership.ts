/**
 * Whose the restored files are, and who may read them: what was asked for, else as the target was, else as the directory
 * around it is. Modes are permission bits; files have those of directories without the right to search.
 */
import { chmod, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncDirectory } from '../core/atomic-file.ts';
import type { TargetSystem } from './target-system.ts';

/** What was asked for; what is absent is taken from the directory there. */
export interface OwnershipWish {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Of directories, 0o700 to 0o777. */
  readonly mode?: number | undefined;
}

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly directoryMode: number;
  readonly fileMode: number;
}

/** What stat(2) says. */
export interface OwnedFacts {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

const WRITABLE_BY_OTHERS = 0o002;
const STICKY = 0o1000;
const WHOLE_OWNER = 0o700;
/** What a directory that everybody shares may give to what is made in it. */
const SHARED = 0o755;
const NOT_SEARCH = 0o666;

/**
 * @param like the target where it exists, else the nearest directory above it. A database never becomes writable for
 *   everybody, and never unusable for its own user, because a directory above it is.
 */
export function ownershipLike(like: OwnedFacts, { uid, gid, mode }: OwnershipWish): Ownership {
  const shared = (like.mode & STICKY) === 0 ? 0o777 : SHARED;
  const directoryMode = mode ?? (like.mode & shared & ~WRITABLE_BY_OTHERS) | WHOLE_OWNER;
  return { uid: uid ?? like.uid, gid: gid ?? like.gid, directoryMode, fileMode: directoryMode & NOT_SEARCH };
}

/**
 * The same system, but every file that it creates is owned so, from its first byte on.
 *
 * @param created what a file is that the system has just created there: where that is right already, nothing more is
 *   asked for each of a hundred thousand
 */
export function ownedSystem(
  system: TargetSystem,
  { uid, gid, fileMode }: Ownership,
  created: OwnedFacts,
): TargetSystem {
  const isOwned = created.uid === uid && created.gid === gid;
  const hasMode = (created.mode & 0o777) === fileMode;
  if (isOwned && hasMode) return system;
  return {
    ...system,
    createFile: async (path) => {
      const file = await system.createFile(path);
      try {
        if (!isOwned) await file.chown(uid, gid);
        // After the owner: to change that takes some bits away.
        if (!hasMode) await file.chmod(fileMode);
        return file;
      } catch (error) {
        await file.close();
        throw error;
      }
    },
  };
}

/** Gives `directory` and all directories in it their owner and mode, the deepest first, and makes that durable. */
export async function ownDirectories(directory: string, ownership: Ownership, system: TargetSystem): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await ownDirectories(join(directory, entry.name), ownership, system);
  }
  const before = await stat(directory);
  const { uid, gid, directoryMode } = ownership;
  const isOwned = before.uid === uid && before.gid === gid;
  if (!isOwned) await system.setOwner(directory, { uid, gid });
  if ((before.mode & 0o777) !== directoryMode) await chmod(directory, (before.mode & 0o7000) | directoryMode);
  else if (isOwned) return;
  await fsyncDirectory(directory);
}
