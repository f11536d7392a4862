/**
 * Files that are written whole and made durable a little later, many at once: neither does anybody wait for a disk
 * after each small file, nor is each opened a second time for its fsync.
 *
 * Invariant: after `finish` every file that was handed over has been synced and closed; after a failure every one is
 * closed.
 */
import type { FileHandle } from 'node:fs/promises';
import { localFileError } from '../core/errors.ts';
import { concurrently } from './concurrently.ts';

/** Files that are synced as one batch; as many again may be open meanwhile. Far below any limit of open files. */
const BATCH_FILES = 64;
/** Files whose durability is waited for at once: they share the commits of the file system's journal. */
export const SYNC_PARALLELISM = 8;

interface OpenFile {
  readonly path: string;
  readonly handle: FileHandle;
}

export class UnsyncedFiles implements AsyncDisposable {
  #waiting: OpenFile[] = [];
  /** The batch under way. It never rejects: what went wrong is thrown by the next call. */
  #syncing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  /** Takes over an open file that holds all of its bytes. @throws LocalFileError, as for every file before */
  async add(file: OpenFile): Promise<void> {
    this.#waiting.push(file);
    if (this.#waiting.length >= BATCH_FILES) await this.#syncBatch();
  }

  /** @throws LocalFileError */
  async finish(): Promise<void> {
    await this.#syncBatch();
    await this.#syncing;
    this.#throwFailure();
  }

  /** Begins a batch, when the one before has ended. */
  async #syncBatch(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    const before = this.#syncing;
    this.#syncing = before.then(() => this.#syncAll(batch));
    await before;
    this.#throwFailure();
  }

  async #syncAll(batch: readonly OpenFile[]): Promise<void> {
    try {
      await concurrently(batch, syncAndClose, { limit: SYNC_PARALLELISM });
    } catch (error) {
      this.#failure ??= { error };
      await closeAll(batch);
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#syncing;
    await closeAll(this.#waiting);
    this.#waiting = [];
  }
}

async function syncAndClose({ path, handle }: OpenFile): Promise<void> {
  try {
    await handle.sync();
    await handle.close();
  } catch (error) {
    throw localFileError('write', path, error);
  }
}

/** Files that are thrown away: that one cannot even be closed must not hide why. Closing twice is harmless. */
async function closeAll(files: readonly OpenFile[]): Promise<void> {
  await Promise.all(files.map(({ handle }) => handle.close().catch(() => {})));
}
