/**
 * Plain data as a row of small independent zstd frames: what log objects and manifests are made of. Encoding works a few
 * frames ahead in the thread pool, so that two processors have something to do and memory stays small. Decoding is done
 * on the spot (`zstd/frame.ts`): of what a body gives nothing is used any more once the next piece is asked for.
 */
import { CorruptionError } from '../core/errors.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { decodeFrame } from '../zstd/frame.ts';
import { splitFrames } from '../zstd/frame-splitter.ts';
import { corruptObject, inObject } from './object-error.ts';

/** Commits fill frames of at most 256 KiB; the first frame holds the segment's 10-byte header besides. */
export const FRAME_PLAIN_BYTES_MAX = 256 * 1024 + 10;
/** zstd's bound for incompressible input adds less than this. */
export const FRAME_BYTES_MAX = FRAME_PLAIN_BYTES_MAX + 4096;
/** Frames under way at once: one for each of two processors, and one that is next. */
export const FRAMES_AHEAD = 3;

export interface DecodedFrame {
  /** Empty for a skippable frame. */
  readonly plain: Uint8Array;
  /** As stored. */
  readonly bytes: Uint8Array;
  readonly skippable: boolean;
  /** Where it begins in the object. */
  readonly at: number;
}

export interface DecodeFramesOptions {
  readonly key: string;
  /** Exactly so many bytes must come. */
  readonly size?: number;
  readonly signal?: AbortSignal | undefined;
}

interface PlacedFrame {
  readonly bytes: Uint8Array;
  readonly skippable: boolean;
  readonly at: number;
}

async function* placeFrames(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { key, size }: DecodeFramesOptions,
): AsyncGenerator<PlacedFrame, void, void> {
  let at = 0;
  try {
    for await (const { bytes, skippable } of splitFrames(body, { frameBytesMax: FRAME_BYTES_MAX })) {
      // A seek table is looked at when its turn comes: the body's memory may hold something else by then.
      yield { bytes: skippable ? Uint8Array.from(bytes) : bytes, skippable, at };
      at += bytes.byteLength;
      if (size !== undefined && at > size) throw corruptObject(key, `is longer than its ${size} bytes`);
    }
  } catch (error) {
    if (!(error instanceof CorruptionError) || error.facts['key'] === key) throw error;
    throw corruptObject(key, `is damaged at byte ${at}: ${error.message}`, error);
  }
  if (size !== undefined && at !== size) throw corruptObject(key, `ends after ${at} of ${size} bytes`);
}

/** Every frame of `body`, decoded strictly. @throws CorruptionError naming key and byte */
export function decodeFrames(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: DecodeFramesOptions,
): AsyncGenerator<DecodedFrame, void, void> {
  return mapAhead(
    placeFrames(body, options),
    async (frame): Promise<DecodedFrame> => {
      if (frame.skippable) return { ...frame, plain: new Uint8Array(0) };
      const plain = await inObject(options.key, `in the frame at byte ${frame.at}`, () =>
        decodeFrame(frame.bytes, { plainBytesMax: FRAME_PLAIN_BYTES_MAX }),
      );
      return { ...frame, plain };
    },
    { ahead: FRAMES_AHEAD, signal: options.signal },
  );
}
