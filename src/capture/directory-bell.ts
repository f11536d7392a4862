/**
 * A bell that rings when something in a directory changes. Events are hints: inotify sees nothing on network and some
 * overlay file systems, and nothing of memory-mapped writes. Whoever waits for the bell also looks by himself.
 *
 * Armed only while nothing is expected: under steady load a timer paces the reading, and an event for each append would
 * cost more than the reading does.
 */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FSWatcher } from 'chokidar';
import { watch } from 'chokidar';
import { systemCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/**
 * Types of file systems, by statfs(2), whose every change goes through this kernel: ext4, XFS, Btrfs, F2FS, tmpfs, ZFS.
 * There a writer of another container is seen as well.
 */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, 0x2fc1_2fc1,
]);

/** What rings when something in some directories changes; a hint, by whatever means it is given. */
export interface Bell extends AsyncDisposable {
  /** Whether events are being delivered: `arm` has been called, and `disarm` not since. */
  readonly armed: boolean;
  /** Whether it may be expected to ring for every change, before it ever did. */
  readonly trusted: boolean;
  /** Resolves once events are being delivered; what changed before that must be looked for. A later `ring` replaces one. */
  arm(ring: () => void): Promise<void>;
  disarm(): Promise<void>;
}

export class DirectoryBell implements Bell {
  readonly #directories: readonly string[];
  readonly #log: Log;
  #watcher: FSWatcher | null = null;
  #ring: () => void = () => {};
  /** How often it rang, which tells whether this file system sends events at all. */
  rings = 0;
  #trusted = false;

  constructor(directories: readonly string[], { log }: { log: Log }) {
    this.#directories = directories;
    this.#log = log;
  }

  get armed(): boolean {
    return this.#watcher !== null;
  }

  /** Whether it may be expected to ring for every append, before it ever did. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /** Resolves once events are being delivered; what changed before that must be looked for. */
  async arm(ring: () => void): Promise<void> {
    this.#ring = ring;
    if (this.#watcher) return;
    this.#trusted = (await Promise.all(this.#directories.map(isLocal))).every(Boolean);
    const watcher = watch([...this.#directories], { depth: 0, ignoreInitial: true, persistent: true });
    this.#watcher = watcher;
    watcher.on('all', () => {
      this.rings += 1;
      this.#ring();
    });
    await new Promise<void>((resolve) => {
      watcher.once('ready', resolve);
      // Without events (no inotify watches left, say) polling goes on: slower to notice, never wrong.
      watcher.on('error', (error) => {
        this.#log.debug('file events are not available; polling', { error });
        this.#trusted = false;
        resolve();
      });
    });
  }

  async disarm(): Promise<void> {
    const watcher = this.#watcher;
    this.#watcher = null;
    await watcher?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disarm();
  }
}

/** A directory that is not there yet will be on the file system of the one above. */
async function isLocal(directory: string): Promise<boolean> {
  for (const path of [directory, dirname(directory)]) {
    try {
      return LOCAL_FILE_SYSTEMS.has((await statfs(path)).type);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') return false;
    }
  }
  return false;
}
