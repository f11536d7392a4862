/** How an object comes to its name: temporary sibling, write, fsync, link or rename, fsync of the directory. */
import { createHash, randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory, TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { systemCode } from '../../core/errors.ts';
import type { ObjectVersion } from '../replica-client.ts';
import { HASHED_BYTES_MAX, statVersion } from './file-version.ts';

export const temporaryBeside = (path: string): string =>
  join(dirname(path), `${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}`);

/** A whole, durable file that has no name of its own yet. Disposing removes what was not moved away. */
export class UnpublishedFile implements AsyncDisposable {
  readonly version: ObjectVersion;
  readonly #temporary: string;

  private constructor(temporary: string, version: ObjectVersion) {
    this.#temporary = temporary;
    this.version = version;
  }

  /** The hash is taken while writing: the version costs no second read. */
  static async write(
    path: string,
    body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    { signal, onProgress }: { signal: AbortSignal; onProgress: () => void },
  ): Promise<UnpublishedFile> {
    const temporary = temporaryBeside(path);
    try {
      await using file = await open(temporary, 'wx');
      const hash = createHash('sha256');
      let size = 0;
      for await (const bytes of body) {
        signal.throwIfAborted();
        if (size <= HASHED_BYTES_MAX) hash.update(bytes);
        size += bytes.byteLength;
        await file.writeFile(bytes);
        onProgress();
      }
      signal.throwIfAborted();
      await file.sync();
      onProgress();
      return new UnpublishedFile(temporary, size <= HASHED_BYTES_MAX ? hash.digest('hex') : await statVersion(file));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Gives it the name `path` unless that is taken; whether it did. */
  async create(path: string): Promise<boolean> {
    try {
      await link(this.#temporary, path);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    }
    await fsyncDirectory(dirname(path));
    return true;
  }

  /** Gives it the name `path`, whatever had it. */
  async replace(path: string): Promise<void> {
    await rename(this.#temporary, path);
    await fsyncDirectory(dirname(path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#temporary, { force: true });
  }
}
