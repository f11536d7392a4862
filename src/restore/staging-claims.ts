/** Which database of which line each directory in a staging directory's content is, told by its journal at any moment. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from '../core/atomic-file.ts';
import { localFileError } from '../core/errors.ts';
import { adoptLeftover, type DirectorySet } from './adopt-leftover.ts';
import { appendJournal, createJournal, type JournalEntry } from './journal.ts';
import type { Ownership } from './ownership.ts';
import { fileBytesBelow } from './unfinished.ts';

export class StagingClaims {
  readonly #staging: string;
  readonly #content: string;
  readonly #claimed = new Map<string, JournalEntry>();

  /** @param content an empty directory below `staging` */
  constructor(staging: string, content: string) {
    this.#staging = staging;
    this.#content = content;
  }

  /**
   * Begins the journal, with what can be gone on with of `leftovers`: staging directories of restores that have ended.
   *
   * @param directories all that may be claimed: nothing else is taken over, since nobody would look at it
   */
  async takeOver(
    leftovers: readonly string[],
    { ownership, directories }: { readonly ownership: Ownership; readonly directories: DirectorySet },
  ): Promise<void> {
    const begin = async (entries: readonly JournalEntry[]): Promise<void> => {
      await createJournal(this.#staging, { ownership, entries });
      for (const entry of entries) this.#claimed.set(entry.directory, entry);
    };
    await adoptLeftover(leftovers, begin, { staging: this.#staging, content: this.#content, ownership, directories });
  }

  /** Written so far of the databases that were claimed, or taken over. */
  async bytes(): Promise<number> {
    const sizes = [...this.#claimed.keys()].map((directory) => fileBytesBelow(join(this.#content, directory)));
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  /**
   * A directory below the content for the database of that line, made where it is missing. Absolute. What it holds of an
   * earlier attempt at the same line is left there, to be proven by whoever writes on.
   *
   * @throws LocalFileError
   */
  async claim(entry: JournalEntry): Promise<string> {
    const { directory, source, generation } = entry;
    const path = join(this.#content, directory);
    const before = this.#claimed.get(directory);
    try {
      await mkdir(path, { recursive: true });
      if (before?.source === source && before.generation === generation) return path;
      for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true });
      // The journal must never name a line for files of another one, whatever a machine loses when its power fails.
      await fsyncDirectory(path);
      await fsyncDirectory(dirname(path));
      await appendJournal(this.#staging, entry);
      this.#claimed.set(directory, entry);
      return path;
    } catch (error) {
      throw localFileError('prepare the restore in', path, error);
    }
  }
}
