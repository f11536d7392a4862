/**
 * Where a zstd frame begins and ends, without decoding it. Source: RFC 8878, sections 3.1.1 and 3.1.2.
 *
 * Responsible for: headers, block boundaries, lengths. Not responsible for: what the blocks hold.
 */
import { CorruptionError } from '../core/errors.ts';

export const ZSTD_MAGIC = 0xfd2fb528;
/** Skippable frames have one of 16 magics that begin here. */
export const SKIPPABLE_MAGIC_FIRST = 0x184d2a50;
/** No block decodes to more (RFC 8878, 3.1.1.2.4). */
export const BLOCK_PLAIN_BYTES_MAX = 128 * 1024;
export const FRAME_HEADER_BYTES_MAX = 18;

const CHECKSUM_BYTES = 4;
const BLOCK_HEADER_BYTES = 3;
export const SKIPPABLE_HEADER_BYTES = 8;

export interface FrameHeader {
  /** Plain bytes, where the frame declares them. */
  readonly contentSize: number | null;
  /** What a decoder that streams must hold. */
  readonly windowSize: number;
  readonly checksum: boolean;
  /** 0 where no dictionary is named. */
  readonly dictionaryId: number;
  /** A bit without a meaning, which every encoder leaves at zero and every decoder ignores. */
  readonly unusedBit: boolean;
  /** The magic included. */
  readonly headerBytes: number;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Little-endian number of `bytes` bytes (0, 1, 2, 4 or 8). */
function readNumber(view: DataView, at: number, bytes: number): number {
  switch (bytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true);
    case 4:
      return view.getUint32(at, true);
    case 8: {
      const value = view.getBigUint64(at, true);
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new CorruptionError(`a zstd frame declares ${value} bytes`);
      return Number(value);
    }
    default:
      return 0;
  }
}

export function isSkippableMagic(magic: number): boolean {
  return magic >= SKIPPABLE_MAGIC_FIRST && magic <= SKIPPABLE_MAGIC_FIRST + 15;
}

/** Whether `bytes` begin as zstd does: a frame, or a skippable one. */
export function isZstd(bytes: Uint8Array): boolean {
  if (bytes.byteLength < 4) return false;
  const magic = viewOf(bytes).getUint32(0, true);
  return magic === ZSTD_MAGIC || isSkippableMagic(magic);
}

/**
 * The header of the zstd frame that begins at `at`. Null when its bytes are not all there.
 *
 * @throws CorruptionError when it is no zstd frame (skippable ones are none here) or the reserved bit is set
 */
export function decodeFrameHeader(bytes: Uint8Array, at = 0): FrameHeader | null {
  if (bytes.byteLength - at < 5) return null;
  const view = viewOf(bytes);
  if (view.getUint32(at, true) !== ZSTD_MAGIC) throw new CorruptionError('not a zstd frame');
  const descriptor = view.getUint8(at + 4);
  if ((descriptor & 0b1000) !== 0) throw new CorruptionError('a reserved bit of a zstd frame header is set');
  const singleSegment = (descriptor & 0b10_0000) !== 0;
  const windowBytes = singleSegment ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 0b11] ?? 0;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
  const headerBytes = 5 + windowBytes + dictionaryBytes + sizeBytes;
  if (bytes.byteLength - at < headerBytes) return null;

  const dictionaryAt = at + 5 + windowBytes;
  const declared = readNumber(view, dictionaryAt + dictionaryBytes, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  const contentSize = sizeBytes === 0 ? null : declared;
  let windowSize = declared;
  if (!singleSegment) {
    const window = view.getUint8(at + 5);
    const base = 2 ** (10 + (window >> 3));
    windowSize = base + (base / 8) * (window & 0b111);
  }
  return {
    contentSize,
    windowSize,
    checksum: (descriptor & 0b100) !== 0,
    dictionaryId: readNumber(view, dictionaryAt, dictionaryBytes),
    unusedBit: (descriptor & 0b1_0000) !== 0,
    headerBytes,
  };
}

/**
 * Measures one frame, zstd or skippable, whose bytes arrive bit by bit: each call goes on where the last one stopped,
 * so that a frame of many blocks is walked once.
 */
export class FrameMeasure {
  /** Bytes of the frame that must be there before the next call can tell more. */
  need = SKIPPABLE_HEADER_BYTES;
  skippable = false;
  header: FrameHeader | null = null;
  /** The most that the blocks seen so far can decode to. */
  plainBytesMax = 0;
  #next = 0;
  #ended = false;

  /**
   * The frame's length, or null when `bytes` (all of the frame from `at` that has come so far) do not hold all of it.
   *
   * @throws CorruptionError when it is no frame at all
   */
  advance(bytes: Uint8Array, at = 0): number | null {
    const there = bytes.byteLength - at;
    if (there < this.need) return null;
    if (this.#next === 0 && !this.#begin(bytes, at)) return null;
    while (!this.#ended) {
      this.need = this.#next + BLOCK_HEADER_BYTES;
      if (there < this.need) return null;
      this.#block(bytes, at + this.#next);
    }
    this.need = this.#next;
    return there < this.need ? null : this.need;
  }

  #begin(bytes: Uint8Array, at: number): boolean {
    const view = viewOf(bytes);
    if (isSkippableMagic(view.getUint32(at, true))) {
      this.skippable = true;
      this.#next = SKIPPABLE_HEADER_BYTES + view.getUint32(at + 4, true);
      this.#ended = true;
      return true;
    }
    this.header = decodeFrameHeader(bytes, at);
    if (this.header === null) {
      this.need += 1;
      return false;
    }
    this.#next = this.header.headerBytes;
    return true;
  }

  #block(bytes: Uint8Array, at: number): void {
    const header = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    const type = (header >> 1) & 0b11;
    const size = header >> 3;
    if (type === 3 || size > BLOCK_PLAIN_BYTES_MAX) throw new CorruptionError('a zstd frame holds a malformed block');
    const isRunLength = type === 1;
    this.#next += BLOCK_HEADER_BYTES + (isRunLength ? 1 : size);
    this.plainBytesMax += type === 2 ? BLOCK_PLAIN_BYTES_MAX : size;
    if ((header & 1) === 0) return;
    this.#ended = true;
    if (this.header?.checksum) this.#next += CHECKSUM_BYTES;
  }
}

/** The length of the frame, zstd or skippable, at byte `at`; null when it is not all there. @throws CorruptionError */
export function frameLength(bytes: Uint8Array, at = 0): number | null {
  return new FrameMeasure().advance(bytes, at);
}
