/**
 * One open segment as plain bytes, compressed or not. All places are logical: they stay right when a server compresses
 * the file in place, which gives the name to another file while this one keeps naming the old one.
 */
import { basename, dirname, join } from 'node:path';
import { assert } from '../core/errors.ts';
import type { ReadableFile, ReadableFiles } from '../core/readable-files.ts';
import type { ByteOffset, TxOffset } from '../core/types.ts';
import { isZstd } from '../zstd/frame-header.ts';
import { SeekableReader } from '../zstd/seekable-reader.ts';
import { formatSegmentName, parseSegmentName } from './file-names.ts';
import { readingFrom } from './reading-from.ts';
import { decodeSegmentHeader, type LogVersion, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { SegmentEntry } from './segments.ts';

/** One read gives at most this. */
export const SEGMENT_READ_BYTES_MAX = 64 * 1024 * 1024;

interface SegmentStart {
  readonly file: ReadableFile;
  readonly tx: TxOffset;
  readonly inode: bigint;
  readonly device: bigint;
  readonly header: Uint8Array | null;
  readonly version: LogVersion | null;
  readonly seekable: SeekableReader | null;
}

export class SegmentReader implements AsyncDisposable {
  /** Offset of the first transaction, from the file's name. */
  readonly tx: TxOffset;
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
  /** The first 10 bytes; null when the file has fewer: an empty segment, as a server leaves one behind. */
  readonly header: Uint8Array | null;
  /** Null with the header. */
  readonly version: LogVersion | null;
  /** Whether the file is zstd. Such a file never grows. */
  readonly compressed: boolean;
  readonly #file: ReadableFile;
  readonly #seekable: SeekableReader | null;
  #closed = false;

  constructor({ file, tx, inode, device, header, version, seekable }: SegmentStart) {
    this.tx = tx;
    this.path = file.path;
    this.device = device;
    this.inode = inode;
    this.header = header;
    this.version = version;
    this.compressed = seekable !== null;
    this.#file = file;
    this.#seekable = seekable;
  }

  /** Path of the segment that begins at `tx` in the same directory, whether it is there or not. */
  siblingPath(tx: TxOffset): string {
    return join(dirname(this.path), formatSegmentName(tx));
  }

  /** Logical bytes now, the header included. Grows while a plain segment is written. */
  plainBytes(): Promise<number> {
    if (this.#seekable !== null) return Promise.resolve(this.#seekable.plainBytes);
    return this.fileBytes();
  }

  /** Bytes of the open file on disk now. */
  async fileBytes(): Promise<number> {
    return readingFrom(this.path, async () => (await this.#file.facts()).size);
  }

  /**
   * `length` logical bytes from `from` on; fewer where the segment ends. Not to be written to.
   *
   * @throws CorruptionError when compressed bytes cannot be decoded. LocalFileError
   */
  async read(from: ByteOffset, length: number): Promise<Uint8Array> {
    assert(length >= 0 && length <= SEGMENT_READ_BYTES_MAX, `a read of ${length} bytes at once`);
    const seekable = this.#seekable;
    return readingFrom(this.path, async () => {
      if (seekable !== null) return seekable.read(from, length);
      const target = Buffer.allocUnsafe(length);
      return target.subarray(0, await this.#file.read(target, from));
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens the segment file at `segment`; null when nothing has that name any more.
 *
 * @throws CorruptionError when it is neither a segment nor one in zstd; UnsupportedFormatError; LocalFileError
 */
export function openSegment(files: ReadableFiles, segment: string | SegmentEntry): Promise<SegmentReader | null> {
  const path = typeof segment === 'string' ? segment : segment.path;
  const tx = parseSegmentName(basename(path));
  assert(tx !== null, `not the name of a segment: ${path}`);
  return readingFrom(path, async () => {
    const file = await files.open(path);
    if (file === null) return null;
    try {
      return await readStart(file, tx);
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}

async function readStart(file: ReadableFile, tx: TxOffset): Promise<SegmentReader> {
  const { device, inode, size } = await file.facts();
  let start = new Uint8Array(SEGMENT_HEADER_BYTES);
  start = start.subarray(0, await file.read(start, 0));
  let seekable: SeekableReader | null = null;
  if (isZstd(start)) {
    seekable = await SeekableReader.open({ size, read: (target, position) => file.read(target, position) });
    start = new Uint8Array(await seekable.read(0, SEGMENT_HEADER_BYTES));
  }
  const header = start.byteLength < SEGMENT_HEADER_BYTES ? null : start;
  const version = header === null ? null : decodeSegmentHeader(header, { path: file.path }).version;
  return new SegmentReader({ file, tx, inode, device, header, version, seekable });
}
