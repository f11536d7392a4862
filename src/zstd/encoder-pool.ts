/**
 * zstd contexts that are used again: a stream that ends a frame with each write keeps its context. Frames of 256 KiB made
 * three at once, nothing else: 280 to 360 MB for each CPU-second instead of 163 to 224 with a context for each frame. In
 * capture as a whole it gave 4 to 23 % in four pairs of runs.
 *
 * Invariant: one write is one whole frame: all of its input comes with the directive that ends the frame, so that zstd
 * knows its size in time for the header.
 */
import * as zlib from 'node:zlib';
import { assert, AssertionError } from '../core/errors.ts';
import { decodeFrameHeader, frameLength } from './frame-header.ts';

/** A longer input is worth a context of its own. */
export const POOLED_PLAIN_BYTES_MAX = 512 * 1024;
/** Idle contexts that are kept for each level: as many as there are frames under way at once. Each holds about 2 MiB. */
const KEPT_MAX = 4;
/** A frame of any input above fits: reading never has to begin before the write has ended. */
const OUTPUT_BYTES_MAX = 2 * POOLED_PLAIN_BYTES_MAX;
/** Output is allocated in pieces of this; several frames share one, and are copied out of it. */
const OUTPUT_PIECE_BYTES = 256 * 1024;

const idle = new Map<number, zlib.ZstdCompress[]>();

function openContext(level: number): zlib.ZstdCompress {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag, ZSTD_c_contentSizeFlag, ZSTD_e_end } = zlib.constants;
  const options = {
    flush: ZSTD_e_end,
    finishFlush: ZSTD_e_end,
    chunkSize: OUTPUT_PIECE_BYTES,
    readableHighWaterMark: OUTPUT_BYTES_MAX,
    writableHighWaterMark: OUTPUT_BYTES_MAX,
    params: { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1, [ZSTD_c_contentSizeFlag]: 1 },
  };
  const context = zlib.createZstdCompress(options);
  // A failure is told to the write that it belongs to.
  context.on('error', () => undefined);
  return context;
}

/** One frame with content size and checksum, made in the thread pool. `plain` must not change until then. */
export function encodeInPool(plain: Uint8Array, level: number): Promise<Uint8Array> {
  assert(plain.byteLength <= POOLED_PLAIN_BYTES_MAX, `${plain.byteLength} bytes are too long for a pooled context`);
  const contexts = idle.get(level) ?? [];
  idle.set(level, contexts);
  const context = contexts.pop() ?? openContext(level);
  return new Promise((resolve, reject) => {
    context.write(plain, (error) => {
      if (error) {
        context.destroy();
        reject(error);
        return;
      }
      const frame = takeOutput(context);
      if (!isWholeFrame(frame, plain.byteLength)) {
        context.destroy();
        reject(new AssertionError('a zstd context gave something other than the one frame it was asked for'));
        return;
      }
      if (contexts.length < KEPT_MAX) contexts.push(context);
      else context.destroy();
      resolve(frame);
    });
  });
}

/** Bytes that nobody can decode must never be stored: this costs a few block headers a frame. */
function isWholeFrame(frame: Uint8Array, plainBytes: number): boolean {
  return frameLength(frame) === frame.byteLength && decodeFrameHeader(frame)?.contentSize === plainBytes;
}

function takeOutput(context: zlib.ZstdCompress): Uint8Array {
  const output = context.read() as Buffer | null;
  assert(output !== null, 'zstd gave no output for a frame');
  // A copy of its own size: the piece that it lies in is longer, and goes on to hold other frames.
  return new Uint8Array(output);
}
