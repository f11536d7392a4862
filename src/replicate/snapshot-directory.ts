/** The directory of local snapshots as an uploader looks at it, pass after pass: an unchanged one costs one readdir. */
import type { LocalFileError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import { isSnapshotUnchanged, listSnapshotNames, listSnapshots, type SnapshotEntry } from '../spacetimedb/snapshots.ts';
import { isOfTheseFiles } from './one-snapshot.ts';

export interface SnapshotDirectoryOptions {
  readonly files: ReadableFiles;
  /** The `snapshots` directory. */
  readonly directory: string;
  readonly log: Log;
}

export interface SnapshotListing {
  /** All names in it. */
  readonly names: readonly string[];
  /** Those that may be complete, newest first. */
  readonly entries: readonly SnapshotEntry[];
}

export class SnapshotDirectory {
  readonly #options: SnapshotDirectoryOptions;
  /** The names when nothing was left to do. */
  #settled: string | null = null;
  #unlisted: LocalFileError | null = null;

  constructor(options: SnapshotDirectoryOptions) {
    this.#options = options;
  }

  /** Why it could not be listed at the last look; null: it could. */
  get unlisted(): LocalFileError | null {
    return this.#unlisted;
  }

  /** One that cannot be read is told once, and looked at again at the next pass. @throws LocalFileError of the machine */
  async list(): Promise<SnapshotListing | 'settled' | 'unlisted'> {
    const { files, directory, log } = this.#options;
    try {
      const names = await listSnapshotNames(files, directory);
      const isSettled = names.join('\n') === this.#settled;
      const entries = isSettled ? [] : await listSnapshots(files, directory);
      this.#unlisted = null;
      return isSettled ? 'settled' : { names, entries };
    } catch (error) {
      if (!isOfTheseFiles(error)) throw error;
      if (this.#unlisted?.message !== error.message) {
        const hint = error.hint === undefined ? {} : { hint: error.hint };
        log.error(`no snapshot can be backed up: ${error.message}`, { directory, code: error.code, ...hint });
      }
      this.#unlisted = error;
      return 'unlisted';
    }
  }

  /** Nothing is left to do until other names are there. */
  settle({ names }: SnapshotListing): void {
    this.#settled = names.join('\n');
  }

  /** Whether it is not proven that the snapshot has gone or changed. @throws LocalFileError of the machine */
  async stillStands(entry: SnapshotEntry): Promise<boolean> {
    try {
      return await isSnapshotUnchanged(this.#options.files, entry);
    } catch (error) {
      if (isOfTheseFiles(error)) return true;
      throw error;
    }
  }
}
