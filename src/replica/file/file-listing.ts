/** Walks a directory tree as if it were a flat, sorted map of keys; in memory are one directory's names for each depth. */
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../../core/errors.ts';
import { compareKeys, isKeyPart } from '../keys.ts';
import type { ListedObject } from '../replica-client.ts';

export interface FileListing {
  readonly root: string;
  readonly prefix: string;
  readonly startAfter?: string | undefined;
  readonly signal: AbortSignal;
  /** Bounds one system call. */
  readonly call: <T>(work: Promise<T>) => Promise<T>;
}

interface Entry {
  /** A directory's ends with `/`, which is how its keys sort among its siblings. */
  readonly key: string;
  readonly path: string;
}

const isDirectory = (entry: Entry): boolean => entry.key.endsWith('/');

/**
 * Ascending by UTF-8 bytes. Names that cannot be keys (temporaries, locks, hidden files) and whatever is neither file
 * nor directory (links among them) are left out; what vanishes meanwhile too.
 */
export async function* walkKeys(listing: FileListing, directory = listing.root, key = ''): AsyncIterable<ListedObject> {
  for (const entry of await readEntries(listing, directory, key)) {
    listing.signal.throwIfAborted();
    if (isDirectory(entry)) {
      if (mayHoldWanted(entry.key, listing)) yield* walkKeys(listing, entry.path, entry.key);
    } else if (isWanted(entry.key, listing)) {
      const size = await fileSize(listing, entry.path);
      if (size !== null) yield { key: entry.key, size };
    }
  }
}

async function readEntries(listing: FileListing, directory: string, key: string): Promise<Entry[]> {
  let names: Dirent[];
  try {
    names = await listing.call(readdir(directory, { withFileTypes: true }));
  } catch (error) {
    // The root is proven to exist by the caller; a directory below it may be removed meanwhile.
    if (systemCode(error) === 'ENOENT' && directory !== listing.root) return [];
    throw error;
  }
  return names
    .filter((name) => isKeyPart(name.name) && (name.isFile() || name.isDirectory()))
    .map((name) => ({ key: `${key}${name.name}${name.isDirectory() ? '/' : ''}`, path: join(directory, name.name) }))
    .sort((a, b) => compareKeys(a.key, b.key));
}

const isWanted = (key: string, { prefix, startAfter }: FileListing): boolean =>
  key.startsWith(prefix) && (startAfter === undefined || compareKeys(key, startAfter) > 0);

function mayHoldWanted(directoryKey: string, { prefix, startAfter }: FileListing): boolean {
  if (!directoryKey.startsWith(prefix) && !prefix.startsWith(directoryKey)) return false;
  // All keys in it begin with its own: unless startAfter does so too, they all sort on the same side of it.
  return startAfter === undefined || startAfter.startsWith(directoryKey) || compareKeys(directoryKey, startAfter) > 0;
}

async function fileSize(listing: FileListing, path: string): Promise<number | null> {
  try {
    const stats = await listing.call(lstat(path));
    return stats.isFile() ? stats.size : null;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}
