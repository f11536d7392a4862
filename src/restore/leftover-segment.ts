/**
 * A segment's file that an earlier attempt left, read again: what it holds of a planned piece counts only when it passes
 * the checks that the piece's bytes from the store would have to pass.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { localFileError, systemCode } from '../core/errors.ts';
import type { TxOffset } from '../core/types.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import {
  encodeSegmentHeader,
  type LogVersion,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION_OFFSET,
} from '../spacetimedb/segment-header.ts';

const READ_BYTES = 1024 * 1024;
/** A piece whose end is not known is given to its checks in slices: what lies behind the end is checked in vain. */
const SLICE_BYTES_MIN = 4 * 1024;

export class LeftoverSegment implements AsyncDisposable {
  readonly first: TxOffset;
  readonly header: Uint8Array;
  readonly version: LogVersion;
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #chunk = new Uint8Array(READ_BYTES);
  /** Place in the file of what is in the chunk. */
  #chunkAt = 0;
  #chunkBytes = 0;

  private constructor(first: TxOffset, version: LogVersion, { path, handle }: { path: string; handle: FileHandle }) {
    this.first = first;
    this.version = version;
    this.header = encodeSegmentHeader({ version });
    this.#path = path;
    this.#handle = handle;
  }

  /**
   * Null where there is none that can be gone on with. No checksum covers a header: only the ten bytes that engines
   * write are known to be right.
   *
   * @throws LocalFileError
   */
  static async open(clogDir: string, first: TxOffset): Promise<LeftoverSegment | null> {
    const path = join(clogDir, formatSegmentName(first));
    let handle: FileHandle;
    try {
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw localFileError('read', path, error);
    }
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(SEGMENT_HEADER_BYTES), { position: 0 });
      const version = buffer[SEGMENT_VERSION_OFFSET] === 0 ? 0 : 1;
      if (bytesRead === SEGMENT_HEADER_BYTES && buffer.equals(encodeSegmentHeader({ version }))) {
        return new LeftoverSegment(first, version, { path, handle });
      }
    } catch (error) {
      await handle.close();
      throw localFileError('read', path, error);
    }
    await handle.close();
    return null;
  }

  /**
   * The bytes from `at` on, at least one, in slices fit for an object of `objectBytes`; valid until the next is asked
   * for.
   *
   * @throws LocalFileError
   */
  async *slicesFrom(at: number, objectBytes: number): AsyncGenerator<Uint8Array, void, void> {
    // An object is rarely longer than what is in it: so less than as much again is checked in vain.
    const sliceBytes = Math.min(READ_BYTES, Math.max(SLICE_BYTES_MIN, objectBytes));
    for (let next = at; ; ) {
      if (next < this.#chunkAt || next >= this.#chunkAt + this.#chunkBytes) await this.#read(next);
      if (this.#chunkBytes === 0) return;
      const from = next - this.#chunkAt;
      const slice = this.#chunk.subarray(from, Math.min(this.#chunkBytes, from + sliceBytes));
      next += slice.byteLength;
      yield slice;
    }
  }

  async #read(at: number): Promise<void> {
    try {
      const { bytesRead } = await this.#handle.read(this.#chunk, 0, this.#chunk.byteLength, at);
      this.#chunkAt = at;
      this.#chunkBytes = bytesRead;
    } catch (error) {
      throw localFileError('read', this.#path, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
