/**
 * One new file of a restore: written once, front to back, in large writes that overlap with whatever makes the bytes.
 * What lies on disk counts only after `finish`.
 */
import type { FileHandle } from 'node:fs/promises';
import { assert, localFileError } from '../core/errors.ts';
import { giveBack } from './give-back.ts';
import type { TargetSystem } from './target-system.ts';

/** A system call for each decoded frame of 256 KiB would cost more than the bytes in it. */
export const WRITE_BYTES_MIN = 1024 * 1024;
/**
 * After so many bytes the disk begins with them, while more is fetched: otherwise nearly all of a long log is left for the
 * one fsync at its end, when there is nothing else to do but wait.
 */
export const FLUSH_BYTES = 32 * 1024 * 1024;

export class StagedFile implements AsyncDisposable {
  readonly path: string;
  readonly #handle: FileHandle;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #bytes = 0;
  /** What lies behind `bytes` is of an earlier attempt, and not wanted. */
  #hasRest = false;
  /** The write under way. It never rejects: what went wrong is thrown by the next call. */
  #writing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;
  /** Written since the last flush to the disk began. */
  #unflushedBytes = 0;
  /** The flush to the disk under way; as `#writing` it never rejects. */
  #flushing: Promise<void> | null = null;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** @throws LocalFileError when the file is there already, or cannot be made */
  static async create(path: string, system: TargetSystem): Promise<StagedFile> {
    try {
      return new StagedFile(path, await system.createFile(path));
    } catch (error) {
      throw localFileError('create', path, error);
    }
  }

  /**
   * Goes on with the file of an earlier attempt: nothing of it counts until `keep` says so.
   *
   * @throws LocalFileError
   */
  static async reopen(path: string, system: TargetSystem): Promise<StagedFile> {
    try {
      const file = new StagedFile(path, await system.reopenFile(path));
      file.#hasRest = true;
      return file;
    } catch (error) {
      throw localFileError('open', path, error);
    }
  }

  /** The first `bytes` bytes of the reopened file are right. To be called before anything is written. */
  keep(bytes: number): void {
    assert(this.#hasRest, 'only a file of an earlier attempt has bytes to keep');
    this.#bytes = bytes;
  }

  /** Bytes taken so far, and those kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes over `bytes`: nobody may use them, or anything else in their memory, afterwards; large ones are given back to
   * the system as soon as they are written. Waits while the write before is still under way.
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength === 0) return;
    await this.#dropRest();
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.byteLength;
    this.#bytes += bytes.byteLength;
    if (this.#gatheredBytes >= WRITE_BYTES_MIN) await this.#flush();
  }

  /** Writes what is left, makes the file durable and closes it. @throws LocalFileError, as for every write before */
  async finish(): Promise<void> {
    await this.#dropRest();
    await this.#flush();
    await this.#writing;
    await this.#flushing;
    this.#throwFailure();
    try {
      await this.#handle.sync();
      await this.#handle.close();
    } catch (error) {
      throw localFileError('write', this.path, error);
    }
  }

  /** What is appended must follow what is kept. */
  async #dropRest(): Promise<void> {
    if (!this.#hasRest) return;
    try {
      await this.#handle.truncate(this.#bytes);
    } catch (error) {
      throw localFileError('write', this.path, error);
    }
    this.#hasRest = false;
  }

  async #flush(): Promise<void> {
    await this.#writing;
    this.#throwFailure();
    const parts = this.#gathered;
    if (parts.length === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writing = this.#writeAll(parts);
  }

  async #writeAll(parts: readonly Uint8Array[]): Promise<void> {
    try {
      // writev(2) may write less than it was given; `writeFile` on a handle goes on where it stopped.
      if (parts.length === 1 && parts[0]) await this.#handle.writeFile(parts[0]);
      else await writeParts(this.#handle, parts);
      this.#unflushedBytes += parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
      for (const part of parts) giveBack(part);
      if (this.#unflushedBytes >= FLUSH_BYTES) this.#flushing ??= this.#flushToDisk();
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** The system tells of a failed write to the disk once, perhaps to this call and not to the fsync at the end. */
  async #flushToDisk(): Promise<void> {
    this.#unflushedBytes = 0;
    try {
      await this.#handle.datasync();
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#flushing = null;
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw localFileError('write', this.path, this.#failure.error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#flushing;
    // Closing twice is harmless: after `finish` this does nothing. A file that was not finished is thrown away: that it
    // cannot even be closed (close(2) tells of a full disk once more) must not hide why.
    await this.#handle.close().catch(() => {});
  }
}

async function writeParts(handle: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  let rest = parts;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev([...rest]);
    rest = dropBytes(rest, bytesWritten);
  }
}

/** The parts without their first `bytes` bytes. */
function dropBytes(parts: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let left = bytes;
  for (const [index, part] of parts.entries()) {
    if (left < part.byteLength) return [part.subarray(left), ...parts.slice(index + 1)];
    left -= part.byteLength;
  }
  return [];
}
