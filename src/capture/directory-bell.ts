/**
 * A bell that rings when something in a directory changes. Events are hints: inotify sees nothing on network and some
 * overlay file systems, and nothing of memory-mapped writes. Whoever waits for the bell also looks by himself.
 *
 * Armed only while nothing is expected: under steady load a timer paces the reading, and an event for each append would
 * cost more than the reading does.
 */
import type { FSWatcher } from 'chokidar';
import { watch } from 'chokidar';
import type { Log } from '../core/log.ts';

export class DirectoryBell implements AsyncDisposable {
  readonly #directories: readonly string[];
  readonly #log: Log;
  #watcher: FSWatcher | null = null;
  #ring: () => void = () => {};
  /** How often it rang, which tells whether this file system sends events at all. */
  rings = 0;

  constructor(directories: readonly string[], { log }: { log: Log }) {
    this.#directories = directories;
    this.#log = log;
  }

  get armed(): boolean {
    return this.#watcher !== null;
  }

  /** Resolves once events are being delivered; what changed before that must be looked for. */
  async arm(ring: () => void): Promise<void> {
    this.#ring = ring;
    if (this.#watcher) return;
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
