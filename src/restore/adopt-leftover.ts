/**
 * Takes over what an interrupted restore left in its staging directory, as far as it may be looked at: databases that its
 * journal names, and in them plain files of ours alone. Whether any of it is right is found out by whoever goes on.
 */
import { lstat, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../core/errors.ts';
import { CLOG_DIR, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import { type JournalContent, type JournalEntry, readJournal, sameOwnership } from './journal.ts';
import type { Ownership } from './ownership.ts';

/** Unit of `st_blocks`, whatever the file system's own is. */
const DISK_BLOCK_BYTES = 512;
const WRITABLE_BY_OTHERS = 0o022;

/** Of databases, below the content. */
export type DirectorySet = Pick<ReadonlySet<string>, 'has'>;

export interface AdoptOptions {
  /** The staging directory of this restore; new. */
  readonly staging: string;
  /** Its content: an empty directory, which is replaced. */
  readonly content: string;
  /** Of the files that this restore writes. */
  readonly ownership: Ownership;
  /** Below the content: where this restore writes databases. Those anywhere else are of another kind of restore. */
  readonly directories: DirectorySet;
}

/**
 * Moves the content of the first of `leftovers` that can be gone on with to where this restore writes.
 *
 * @param leftovers staging directories of restores that have ended
 * @param begin called before the move with what will be there: the journal of this restore must tell it by then
 */
export async function adoptLeftover(
  leftovers: readonly string[],
  begin: (entries: readonly JournalEntry[]) => Promise<void>,
  options: AdoptOptions,
): Promise<void> {
  for (const leftover of leftovers) {
    const journal = await readOwnJournal(leftover, options);
    const entries = journal?.entries.filter(({ directory }) => options.directories.has(directory)) ?? [];
    if (entries.length === 0 || !(await prune(join(leftover, 'content'), entries, options))) continue;
    await begin(entries);
    await rmdir(options.content);
    await rename(join(leftover, 'content'), options.content);
    return;
  }
  await begin([]);
}

/** Null where somebody else could have written what is there, or where it would be owned otherwise than is asked for. */
async function readOwnJournal(leftover: string, { staging, ownership }: AdoptOptions): Promise<JournalContent | null> {
  const [theirs, ours] = [await lstat(leftover), await lstat(staging)];
  if (!theirs.isDirectory() || theirs.uid !== ours.uid || (theirs.mode & WRITABLE_BY_OTHERS & ~ours.mode) !== 0)
    return null;
  const journal = await readJournal(leftover);
  return journal !== null && sameOwnership(journal.ownership, ownership) ? journal : null;
}

/** Removes all but those databases. False where there is nothing of them. */
async function prune(content: string, entries: readonly JournalEntry[], options: AdoptOptions): Promise<boolean> {
  const kept = new Set(
    entries.flatMap(({ directory }) => [CLOG_DIR, SNAPSHOTS_DIR].map((name) => join(directory, name))),
  );
  const isAbove = (path: string): boolean => [...kept].some((one) => one.startsWith(`${path}/`));
  let found = false;
  const walk = async (path: string): Promise<void> => {
    for (const entry of await readdir(join(content, path), { withFileTypes: true })) {
      const below = join(path, entry.name);
      if (entry.isDirectory() && kept.has(below)) {
        await keepPlainFiles(join(content, below), options.ownership);
        found = true;
      } else if (entry.isDirectory() && isAbove(below)) await walk(below);
      else await rm(join(content, below), { recursive: true, force: true });
    }
  };
  try {
    if (!(await lstat(content)).isDirectory()) return false;
    await walk('');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
  return found;
}

/** A link, a file that has another name elsewhere, or one that was not given its owner and mode yet is not ours to fill. */
async function keepPlainFiles(directory: string, ownership: Ownership): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      await keepPlainFiles(path, ownership);
      continue;
    }
    const { nlink, uid, gid, mode } = await lstat(path);
    const isOurs =
      nlink === 1 && uid === ownership.uid && gid === ownership.gid && (mode & 0o777) === ownership.fileMode;
    if (!entry.isFile() || !isOurs) await rm(path, { force: true });
  }
}

/** What the files below take on their disk: as much is free again when they are removed, or need not be written again. */
export async function diskBytesOf(paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) {
    const facts = await lstat(path);
    bytes += facts.blocks * DISK_BLOCK_BYTES;
    if (facts.isDirectory()) bytes += await diskBytesOf((await readdir(path)).map((name) => join(path, name)));
  }
  return bytes;
}
