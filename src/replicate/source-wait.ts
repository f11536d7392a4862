/** Waiting for what the local directory lacks: a log, or a snapshot without which nothing could be restored. */
import type { LogSource } from '../capture/log-source.ts';
import type { Clock } from '../core/clock.ts';
import type { ReplicateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { listSegments } from '../spacetimedb/segments.ts';
import { listSnapshotNames } from '../spacetimedb/snapshots.ts';
import { isOfTheseFiles } from './one-snapshot.ts';

const LOG_LOOK_MS = 1_000;
/** A wrong path is waited for like a right one: said once in ten minutes. */
const LOG_LOOKS_BEFORE_WARNING = 600;
const BASE_LOOK_MS = 10_000;
/** What is missing is looked for itself, in local files, after so many looks, though nothing seems to have changed. */
const BASE_LOOKS_MAX = 30;

export interface SourceWaitOptions {
  /** The replica directory. */
  readonly database: string;
  readonly source: LogSource;
  readonly snapshotsDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends a wait early. */
  readonly draining: AbortSignal;
}

export class SourceWait {
  readonly #options: SourceWaitOptions;
  #looks = 0;
  #saidOfBase: string | null = null;

  constructor(options: SourceWaitOptions) {
    this.#options = options;
  }

  /** Until the next look at whether there is a log. */
  async forLog({ signal }: { signal: AbortSignal }): Promise<void> {
    const { log, source, database } = this.#options;
    if (this.#looks === 0) {
      log.info('waiting for a commit log', { directory: source.directory });
    } else if (this.#looks % LOG_LOOKS_BEFORE_WARNING === 0) {
      log.warn(`still waiting for a commit log in ${database}: nothing of it is backed up`, {
        hint: 'Check the path of this database in the configuration, and that its server runs.',
      });
    }
    this.#looks += 1;
    await this.#sleep(LOG_LOOK_MS, signal);
  }

  /**
   * Until files came or went, or what is missing is there: a commit of a snapshot, a file that was mended in place. All of
   * this costs the store nothing.
   *
   * @param isMissing whether it still is, by local reads
   */
  async forBase(
    error: ReplicateError,
    { isMissing, signal }: { isMissing: () => Promise<boolean>; signal: AbortSignal },
  ): Promise<void> {
    const { draining } = this.#options;
    const before = await this.#signature();
    do {
      this.#sayMissing(error);
      for (let looks = 0; looks < BASE_LOOKS_MAX && !draining.aborted; looks += 1) {
        await this.#sleep(BASE_LOOK_MS, signal);
        if ((await this.#signature()) !== before) return;
      }
    } while (!draining.aborted && (await isMissing()));
  }

  /** Again and again: all of this time nothing has been backed up. */
  #sayMissing(error: ReplicateError): void {
    const { log } = this.#options;
    log.warn(`nothing is backed up: ${error.message}`, {
      ...error.facts,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      again: this.#saidOfBase === error.message,
    });
    this.#saidOfBase = error.message;
  }

  /** Names and files, no sizes: a log that grows is no news. */
  async #signature(): Promise<string> {
    const { source } = this.#options;
    const snapshots = await this.#snapshotNames();
    const segments = await listSegments(source.files, source.directory);
    return JSON.stringify([snapshots, segments.map(({ name, device, inode }) => `${name} ${device} ${inode}`)]);
  }

  /** Names that cannot be listed are news when they can be. */
  async #snapshotNames(): Promise<unknown> {
    const { source, snapshotsDirectory } = this.#options;
    try {
      return await listSnapshotNames(source.files, snapshotsDirectory);
    } catch (error) {
      if (isOfTheseFiles(error)) return error.message;
      throw error;
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, draining } = this.#options;
    await clock.sleep(ms, { signal: AbortSignal.any([signal, draining]) }).catch(() => signal.throwIfAborted());
  }
}
