/**
 * Bytes that the disk does not give back. They are told from all else that can fail, so that what stands before them is
 * read, and what stands behind them can be looked for.
 */
import { basename } from 'node:path';
import { CorruptionError, LocalFileError, systemCode } from '../core/errors.ts';
import type { ReadableFile, ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, type ByteOffset } from '../core/types.ts';
import { parseSegmentName } from '../spacetimedb/file-names.ts';
import type { SegmentReader } from '../spacetimedb/segment-reader.ts';

/** EIO; and what some drivers (ENODATA) and file systems with checksums of their own (EBADMSG, EUCLEAN) say instead. */
const CODES: ReadonlySet<unknown> = new Set(['EIO', 'ENODATA', 'EBADMSG', 'EUCLEAN']);

/** What a kernel reads at once, at least: smaller reads find nothing more. */
export const SECTOR_BYTES = 4096;
/** Of one open file. More than 1 MiB that cannot be read is no bad sector but a bad disk, and each try takes seconds. */
export const BAD_SECTORS_MAX = 256;
/** In the place of what cannot be read: no header of a commit, no end of a log, and no checksum holds over it. */
const FILLER = 0xff;

export const isUnreadable = (error: unknown): error is LocalFileError =>
  error instanceof LocalFileError && CODES.has(error.facts['systemCode']);

/** Whether it tells of bytes that a reader of a segment cannot give: not read, or in a frame that cannot be decoded. */
export const isNotGiven = (error: unknown): boolean => isUnreadable(error) || error instanceof CorruptionError;

/**
 * How many of `length` bytes can be read, from `at` on, of which all together cannot: up to a bad sector. By halving,
 * since each try at a bad sector may take a disk seconds.
 *
 * @throws LocalFileError of other causes
 */
export async function bytesBeforeBadSector(reader: SegmentReader, at: ByteOffset, length: number): Promise<number> {
  let low = Math.floor(at / SECTOR_BYTES);
  let high = Math.floor((at + length - 1) / SECTOR_BYTES);
  // The bad sector is one of low to high.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const from = Math.max(at, low * SECTOR_BYTES);
    if (await canBeRead(reader, byteOffset(from), (middle + 1) * SECTOR_BYTES - from)) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low * SECTOR_BYTES - at);
}

async function canBeRead(reader: SegmentReader, from: ByteOffset, length: number): Promise<boolean> {
  try {
    await reader.read(from, length);
    return true;
  } catch (error) {
    if (isNotGiven(error)) return false;
    throw error;
  }
}

/**
 * The same files, with filler where bytes of a segment cannot be read: a commit there is a bad one then, and is treated
 * as such. To be used where a place is known to stay unreadable, for looking, never for what is stored without its
 * checksum. Of other files nothing is made up.
 *
 * @param options.onFill told whenever filler stands for what cannot be read
 */
export function throughBadSectors(
  files: ReadableFiles,
  { onFill = () => undefined }: { readonly onFill?: () => void } = {},
): ReadableFiles {
  return {
    list: (path) => files.list(path),
    facts: (path) => files.facts(path),
    open: async (path) => {
      const file = await files.open(path);
      return file === null || parseSegmentName(basename(path)) === null ? file : new HoledFile(file, { onFill });
    },
  };
}

class HoledFile implements ReadableFile {
  readonly path: string;
  readonly #file: ReadableFile;
  readonly #onFill: () => void;
  /** By their numbers. Each is tried once: a disk may take seconds for it, and searching comes by again and again. */
  readonly #bad = new Set<number>();

  constructor(file: ReadableFile, { onFill }: { onFill: () => void }) {
    this.path = file.path;
    this.#file = file;
    this.#onFill = onFill;
  }

  facts(): ReturnType<ReadableFile['facts']> {
    return this.#file.facts();
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (!this.#isKnownBad(position, target.byteLength)) {
      try {
        return await this.#file.read(target, position);
      } catch (error) {
        if (!CODES.has(systemCode(error))) throw error;
      }
    }
    const { size } = await this.#file.facts();
    const length = Math.max(0, Math.min(target.byteLength, size - position));
    for (let done = 0; done < length; ) {
      const sectorEnd = SECTOR_BYTES - ((position + done) % SECTOR_BYTES);
      const part = target.subarray(done, Math.min(length, done + sectorEnd));
      const got = await this.#readSector(part, position + done);
      if (got === 0) return done;
      done += got;
    }
    return length;
  }

  #isKnownBad(position: number, length: number): boolean {
    const first = Math.floor(position / SECTOR_BYTES);
    const last = Math.floor((position + length - 1) / SECTOR_BYTES);
    for (const sector of this.#bad) if (sector >= first && sector <= last) return true;
    return false;
  }

  async #readSector(target: Uint8Array, position: number): Promise<number> {
    const sector = Math.floor(position / SECTOR_BYTES);
    if (!this.#bad.has(sector)) {
      try {
        return await this.#file.read(target, position);
      } catch (error) {
        if (!CODES.has(systemCode(error)) || this.#bad.size >= BAD_SECTORS_MAX) throw error;
        this.#bad.add(sector);
      }
    }
    this.#onFill();
    target.fill(FILLER);
    return target.byteLength;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}
