/** Where each frame of a compressed file lies, in the file and in the plain bytes. */
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { decodeForeignFrame } from './foreign.ts';
import { FrameMeasure } from './frame-header.ts';
import { splitFrames } from './frame-splitter.ts';
import { decodeSeekTable, readSeekTableBytes, SEEK_TABLE_FOOTER_BYTES } from './seek-table.ts';

export interface SeekableSource {
  /** Of the file as stored. */
  readonly size: number;
  /** Reads from byte `position` until `target` is full or the file ends; gives the bytes read. */
  read(target: Uint8Array, position: number): Promise<number>;
}

/**
 * A longer frame is refused: one frame is what a reader must hold. SpacetimeDB's have 4 KiB; a segment that somebody
 * compressed by hand into a single frame is the case that this excludes.
 */
export const SEEKABLE_FRAME_PLAIN_BYTES_MAX = 64 * 1024 * 1024;
const FRAME_BYTES_MAX = SEEKABLE_FRAME_PLAIN_BYTES_MAX + 1024 * 1024;
const PIECE_BYTES = 256 * 1024;

export class FrameMap {
  /** Starts of the frames and, last, the end of the last one. */
  readonly #at: Float64Array;
  readonly #plainAt: Float64Array;

  /** `bytes` and `plainBytes` per frame, from byte 0 on without a gap (a skippable frame is one without plain bytes). */
  constructor(bytes: ArrayLike<number>, plainBytes: ArrayLike<number>) {
    this.#at = sums(bytes);
    this.#plainAt = sums(plainBytes);
  }

  get frames(): number {
    return this.#at.length - 1;
  }

  get bytes(): number {
    return this.start(this.frames);
  }

  get plainBytes(): number {
    return this.plainStart(this.frames);
  }

  start(frame: number): number {
    return this.#at[frame] ?? 0;
  }

  plainStart(frame: number): number {
    return this.#plainAt[frame] ?? 0;
  }

  /** The frame that holds plain byte `position`, which must be within. */
  find(position: number): number {
    let low = 0;
    let high = this.frames;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.plainStart(middle) <= position) low = middle;
      else high = middle;
    }
    return low;
  }
}

function sums(lengths: ArrayLike<number>): Float64Array {
  const starts = new Float64Array(lengths.length + 1);
  let sum = 0;
  for (let index = 0; index < lengths.length; index++) {
    sum += lengths[index] ?? 0;
    starts[index + 1] = sum;
  }
  return starts;
}

function refuseLongFrame(): never {
  throw new UnsupportedFormatError(
    `a zstd frame holds more than ${SEEKABLE_FRAME_PLAIN_BYTES_MAX} plain bytes, too many to read at random`,
    { hint: 'Decompress the file with zstd -d; SpacetimeDB reads it as well.' },
  );
}

export async function readExactly(source: SeekableSource, position: number, length: number): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  const got = await source.read(target, position);
  if (got !== length) throw new CorruptionError(`the file ends at byte ${position + got} instead of ${source.size}`);
  return target;
}

/** The map that the file's seek table gives; null when it has none that covers exactly the file. */
async function mapBySeekTable(source: SeekableSource): Promise<FrameMap | null> {
  const footerBytes = Math.min(source.size, SEEK_TABLE_FOOTER_BYTES);
  const footer = await readExactly(source, source.size - footerBytes, footerBytes);
  try {
    const tableBytes = readSeekTableBytes(footer);
    if (tableBytes === null || tableBytes > source.size) return null;
    const table = decodeSeekTable(await readExactly(source, source.size - tableBytes, tableBytes));
    const map = new FrameMap(table.bytes, table.plainBytes);
    if (map.bytes + tableBytes !== source.size) return null;
    if (table.plainBytes.some((bytes) => bytes > SEEKABLE_FRAME_PLAIN_BYTES_MAX)) refuseLongFrame();
    return map;
  } catch (error) {
    // A bad table says nothing about the frames: they are walked instead, and each is checked.
    if (error instanceof CorruptionError) return null;
    throw error;
  }
}

async function* readPieces(source: SeekableSource): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < source.size; at += PIECE_BYTES) {
    yield await readExactly(source, at, Math.min(PIECE_BYTES, source.size - at));
  }
}

/** The map made by going through the whole file once. */
async function mapByWalking(source: SeekableSource): Promise<FrameMap> {
  const bytes: number[] = [];
  const plainBytes: number[] = [];
  for await (const frame of splitFrames(readPieces(source), { frameBytesMax: FRAME_BYTES_MAX })) {
    bytes.push(frame.bytes.byteLength);
    plainBytes.push(frame.skippable ? 0 : await plainBytesOf(frame.bytes));
  }
  return new FrameMap(bytes, plainBytes);
}

async function plainBytesOf(frame: Uint8Array): Promise<number> {
  const measure = new FrameMeasure();
  measure.advance(frame);
  const declared = measure.header?.contentSize;
  if (declared !== null && declared !== undefined) {
    return declared > SEEKABLE_FRAME_PLAIN_BYTES_MAX ? refuseLongFrame() : declared;
  }
  const plain = await decodeForeignFrame(frame, measure, { plainBytesMax: SEEKABLE_FRAME_PLAIN_BYTES_MAX });
  return plain.byteLength;
}

/**
 * @throws CorruptionError when the file is no row of whole frames; UnsupportedFormatError when a frame is too long to
 * be held
 */
export async function readFrameMap(source: SeekableSource): Promise<FrameMap> {
  return (await mapBySeekTable(source)) ?? (await mapByWalking(source));
}
