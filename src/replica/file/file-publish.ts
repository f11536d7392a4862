/** How an object comes to its name: temporary sibling, write, fsync, link or rename, fsync of the directory. */
import { createHash, randomBytes } from 'node:crypto';
import { link, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory, TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { systemCode } from '../../core/errors.ts';
import type { ObjectVersion } from '../replica-client.ts';
import { HASHED_BYTES_MAX, statVersion } from './file-version.ts';

export const temporaryBeside = (path: string): string =>
  join(dirname(path), `${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}`);

/**
 * Gives `from` the name `path` as well, unless that is taken; whether it did. Network file systems ask again when an
 * answer is lost, and then say that the name is taken, by ourselves: open(2), O_EXCL, tells to look at the file.
 */
export async function linkNew(from: string, path: string): Promise<boolean> {
  try {
    await link(from, path);
    return true;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    return isSameFile(from, path);
  }
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const own = await lstat(a, { bigint: true });
  try {
    const other = await lstat(b, { bigint: true });
    return own.ino === other.ino && own.dev === other.dev;
  } catch (error) {
    // Removed meanwhile: then it was another one's.
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

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
    if (!(await linkNew(this.#temporary, path))) return false;
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
