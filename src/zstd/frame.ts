/**
 * Single zstd frames, whole: ours are strict, with content size and checksum, so that a flipped bit is noticed or does
 * not matter. `node:zlib` decodes only the first of several frames and ignores what follows; lengths are proven here.
 *
 * Small inputs are done on the spot: a turn through the thread pool costs 0.1 ms, as much as encoding 16 KiB or decoding
 * 128 KiB. An input that goes to the pool must not change until the promise settles.
 */
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { assert, CorruptionError, errorMessage, systemCode } from '../core/errors.ts';
import { encodeInPool, POOLED_PLAIN_BYTES_MAX } from './encoder-pool.ts';
import { type FrameHeader, FrameMeasure } from './frame-header.ts';
import { usesThreadPool } from './thread-pool.ts';

/** A decoder of our own frames refuses more. Level 19 and below stay within it. */
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024;
/** Below this many plain bytes the thread pool costs more than it gives, in encoding. */
const POOL_PLAIN_BYTES_MIN = 16 * 1024;
/**
 * Frames up to this size, all of the log and the pages of snapshots, are decoded on the spot: half a millisecond at most.
 * Their turns through the pool cost the calling thread as much as it takes to decode them, and the others 8 % of a
 * restore's CPU besides.
 */
export const DECODED_ON_THE_SPOT_BYTES_MAX = 512 * 1024;
/** Output is one buffer and one call only where it is a little longer than what comes out. */
const SPARE_BYTES = 64;
/** A result that fills less than this part of its buffer is copied, so that held bytes are what their length says. */
const FILL_MIN = 0.75;

const compressInPool = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const decompressInPool = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

export interface EncodeFrameOptions {
  /** zstd's level, 1..19. */
  readonly level: number;
}

export interface DecodeFrameOptions {
  /** A frame that declares more is refused before anything is decoded. */
  readonly plainBytesMax: number;
}

function checkLevel({ level }: EncodeFrameOptions): number {
  assert(Number.isInteger(level) && level >= 1 && level <= 19, `zstd level ${level} is not in 1..19`);
  return level;
}

function encodeOptions(plain: Uint8Array, options: EncodeFrameOptions): zlib.ZstdOptions {
  const level = checkLevel(options);
  return {
    // zstd's own bound for incompressible input: the frame comes out in one call.
    chunkSize: plain.byteLength + (plain.byteLength >> 8) + 512,
    // In the pool the input is written before it is ended: zstd would not know its size in time for the header.
    pledgedSrcSize: plain.byteLength,
    params: {
      [zlib.constants.ZSTD_c_compressionLevel]: level,
      [zlib.constants.ZSTD_c_checksumFlag]: 1,
      [zlib.constants.ZSTD_c_contentSizeFlag]: 1,
    },
  };
}

/** The same bytes in a buffer of their own size, where the buffer is much longer than they are. */
function trim(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength < bytes.buffer.byteLength * FILL_MIN ? new Uint8Array(bytes) : bytes;
}

/** One frame with content size and checksum. */
export function encodeFrameSync(plain: Uint8Array, options: EncodeFrameOptions): Uint8Array {
  return trim(zlib.zstdCompressSync(plain, encodeOptions(plain, options)));
}

/** The same in the thread pool, where that pays. */
export async function encodeFrame(plain: Uint8Array, options: EncodeFrameOptions): Promise<Uint8Array> {
  if (plain.byteLength < POOL_PLAIN_BYTES_MIN || !usesThreadPool()) return encodeFrameSync(plain, options);
  if (plain.byteLength <= POOLED_PLAIN_BYTES_MAX) return encodeInPool(plain, checkLevel(options));
  return trim(await compressInPool(plain, encodeOptions(plain, options)));
}

/** Proves that `frame` is exactly one frame as `encodeFrame` makes them, within bounds; gives its plain size. */
function checkFrame(frame: Uint8Array, { plainBytesMax }: DecodeFrameOptions): number {
  const measure = new FrameMeasure();
  const length = measure.advance(frame);
  if (length === null) throw new CorruptionError(`a zstd frame is cut short after ${frame.byteLength} bytes`);
  const header = measure.header;
  if (header === null) throw new CorruptionError('a skippable frame stands where a zstd frame belongs');
  if (length !== frame.byteLength) {
    throw new CorruptionError(`${frame.byteLength - length} bytes follow a zstd frame of ${length} bytes`);
  }
  return checkHeader(header, plainBytesMax);
}

/** Of a frame of ours. @throws CorruptionError */
export function checkHeader(header: FrameHeader, plainBytesMax: number): number {
  const { contentSize, windowSize } = header;
  if (!header.checksum) throw new CorruptionError('a zstd frame has no checksum');
  if (header.unusedBit) throw new CorruptionError('the unused bit of a zstd frame header is set');
  if (header.dictionaryId !== 0) throw new CorruptionError('a zstd frame asks for a dictionary');
  if (contentSize === null) throw new CorruptionError('a zstd frame does not declare its plain size');
  if (contentSize > plainBytesMax) {
    throw new CorruptionError(
      `a zstd frame declares ${contentSize} plain bytes; at most ${plainBytesMax} belong there`,
    );
  }
  // A frame of one segment has no window of its own: it is decoded straight into the output, which is bounded above.
  if (windowSize !== contentSize && windowSize > WINDOW_BYTES_MAX) {
    throw new CorruptionError(`a zstd frame asks for a window of ${windowSize} bytes`);
  }
  return contentSize;
}

const decodeOptions = (plainBytes: number): zlib.ZstdOptions => ({
  chunkSize: plainBytes + SPARE_BYTES,
  maxOutputLength: plainBytes + SPARE_BYTES,
});

function checkPlain(plain: Uint8Array, plainBytes: number): Uint8Array {
  if (plain.byteLength !== plainBytes) {
    throw new CorruptionError(`a zstd frame declares ${plainBytes} plain bytes and holds ${plain.byteLength}`);
  }
  return trim(plain);
}

/** What libzstd says of bad bytes, as CorruptionError; anything else (no memory) as it is. */
export function decodingError(cause: unknown): unknown {
  const code = systemCode(cause) ?? '';
  const isData = code === 'ERR_BUFFER_TOO_LARGE' || (code.startsWith('ZSTD_error_') && !code.includes('memory'));
  return isData ? new CorruptionError(`a zstd frame cannot be decoded: ${errorMessage(cause)}`, { cause }) : cause;
}

/** @see decodeFrame; on the calling thread, which costs less CPU and blocks it. */
export function decodeFrameSync(frame: Uint8Array, options: DecodeFrameOptions): Uint8Array {
  const plainBytes = checkFrame(frame, options);
  try {
    return checkPlain(zlib.zstdDecompressSync(frame, decodeOptions(plainBytes)), plainBytes);
  } catch (error) {
    throw decodingError(error);
  }
}

/**
 * Plain bytes of one frame of ours. Strict: a checksum, a declared size of at most `plainBytesMax`, no dictionary, no
 * bit set that has no meaning, a window of at most 8 MiB, and nothing after the frame. Up to DECODED_ON_THE_SPOT_BYTES_MAX
 * plain bytes, `frame` is not used any more once the call has returned. The memory of the result is the caller's alone.
 *
 * @throws CorruptionError
 */
export async function decodeFrame(frame: Uint8Array, options: DecodeFrameOptions): Promise<Uint8Array> {
  const plainBytes = checkFrame(frame, options);
  if (plainBytes <= DECODED_ON_THE_SPOT_BYTES_MAX || !usesThreadPool()) return decodeFrameSync(frame, options);
  try {
    return checkPlain(await decompressInPool(frame, decodeOptions(plainBytes)), plainBytes);
  } catch (error) {
    throw decodingError(error);
  }
}
