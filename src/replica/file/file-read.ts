/** Reads one object's file: small ones whole, long ones in chunks from an open handle. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { systemCode } from '../../core/errors.ts';
import type { ByteRange, ObjectFacts } from '../replica-client.ts';
import { linkRefused, shrank } from './file-errors.ts';
import { contentVersion, HASHED_BYTES_MAX, statVersion } from './file-version.ts';

export const CHUNK_BYTES = 1024 * 1024;

/** An object's file, open. `content` is there when it is short enough to be versioned by its content. */
export interface OpenedObject extends ObjectFacts, AsyncDisposable {
  readonly file: FileHandle;
  readonly content: Uint8Array | null;
}

/** Null when no file has that name. @throws system errors as they are; ConfigurationError for a link */
export async function openObject(path: string): Promise<OpenedObject | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw code === 'ELOOP' ? linkRefused(path) : error;
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) {
      await file.close();
      return null;
    }
    const content =
      stats.size <= HASHED_BYTES_MAX ? await readExactly(file, path, { start: 0, endExclusive: stats.size }) : null;
    const version = content ? contentVersion(content) : await statVersion(file);
    return { file, content, version, size: stats.size, [Symbol.asyncDispose]: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readExactly(file: FileHandle, path: string, { start, endExclusive }: ByteRange): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(endExclusive - start);
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.byteLength - done, start + done);
    if (bytesRead === 0) throw shrank(path, endExclusive);
    done += bytesRead;
  }
  return bytes;
}

export interface FileBodyOptions {
  readonly path: string;
  readonly range: ByteRange;
  /** Bounds one read, and maps its error. */
  readonly call: <T>(work: Promise<T>) => Promise<T>;
}

/** A body that owns its handle: closed at the end, on an error, and when the loop is left. No generator: one that was never begun would not close. */
export class FileBody implements AsyncIterableIterator<Uint8Array> {
  readonly #object: OpenedObject;
  readonly #options: FileBodyOptions;
  #next: number;
  #closed = false;

  constructor(object: OpenedObject, options: FileBodyOptions) {
    this.#object = object;
    this.#options = options;
    this.#next = options.range.start;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const { path, range, call } = this.#options;
    if (this.#closed || this.#next >= range.endExclusive) return this.return();
    const chunk = { start: this.#next, endExclusive: Math.min(range.endExclusive, this.#next + CHUNK_BYTES) };
    try {
      const value = await call(readExactly(this.#object.file, path, chunk));
      this.#next = chunk.endExclusive;
      return { done: false, value };
    } catch (error) {
      await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    if (!this.#closed) {
      this.#closed = true;
      await this.#object[Symbol.asyncDispose]();
    }
    return { done: true, value: undefined };
  }
}
