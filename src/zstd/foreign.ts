/**
 * zstd as other programs write it: several frames in a row, skippable frames, perhaps neither checksum nor content
 * size. Every frame is decoded (node:zlib alone would stop after the first), within bounds, and nothing may be cut short.
 */
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { CorruptionError } from '../core/errors.ts';
import { decodingError, type DecodeFrameOptions } from './frame.ts';
import { FrameMeasure } from './frame-header.ts';
import { usesThreadPool } from './thread-pool.ts';

/** What the zstd program itself accepts by default: 128 MiB. */
const FOREIGN_WINDOW_LOG_MAX = 27;
const POOL_BYTES_MIN = 8 * 1024;
const SPARE_BYTES = 64;

const decompressInPool = promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

/**
 * One frame, of which `measure` has already walked all blocks.
 *
 * @throws CorruptionError when it holds more than `plainBytesMax`, or other than it declares
 */
export async function decodeForeignFrame(
  frame: Uint8Array,
  measure: FrameMeasure,
  { plainBytesMax }: DecodeFrameOptions,
): Promise<Uint8Array> {
  const declared = measure.header?.contentSize ?? null;
  if (declared !== null && declared > plainBytesMax) {
    throw new CorruptionError(`a zstd frame declares ${declared} plain bytes; at most ${plainBytesMax} belong there`);
  }
  const expected = Math.min(declared ?? measure.plainBytesMax, plainBytesMax);
  const options: zlib.ZstdOptions = {
    chunkSize: expected + SPARE_BYTES,
    maxOutputLength: expected + SPARE_BYTES,
    params: { [zlib.constants.ZSTD_d_windowLogMax]: FOREIGN_WINDOW_LOG_MAX },
  };
  try {
    const plain =
      frame.byteLength < POOL_BYTES_MIN || !usesThreadPool()
        ? zlib.zstdDecompressSync(frame, options)
        : await decompressInPool(frame, options);
    if (plain.byteLength > expected || (declared !== null && plain.byteLength !== declared)) {
      throw new CorruptionError(`a zstd frame decodes to ${plain.byteLength} bytes where at most ${expected} belong`);
    }
    return plain;
  } catch (error) {
    throw decodingError(error);
  }
}

/**
 * All plain bytes of `bytes`, which must be whole frames and nothing else.
 *
 * @throws CorruptionError when it is no zstd, cut short, damaged as far as zstd can tell, or longer than `plainBytesMax`
 */
export async function decodeForeign(bytes: Uint8Array, { plainBytesMax }: DecodeFrameOptions): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let plainBytes = 0;
  for (let at = 0; at < bytes.byteLength; ) {
    const measure = new FrameMeasure();
    const length = measure.advance(bytes, at);
    if (length === null) throw new CorruptionError(`zstd data is cut short in the frame at byte ${at}`);
    if (!measure.skippable) {
      const part = await decodeForeignFrame(bytes.subarray(at, at + length), measure, {
        plainBytesMax: plainBytesMax - plainBytes,
      });
      plainBytes += part.byteLength;
      parts.push(part);
    }
    at += length;
  }
  if (parts.length === 0) throw new CorruptionError('no zstd frame');
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts, plainBytes);
}
