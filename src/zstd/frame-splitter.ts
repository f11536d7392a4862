/** A stream of bytes, in whatever pieces it comes, as whole frames. */
import { CorruptionError } from '../core/errors.ts';
import { FrameMeasure } from './frame-header.ts';

export interface SplitFrame {
  /** May share memory with what the body gave. */
  readonly bytes: Uint8Array;
  readonly skippable: boolean;
}

export interface SplitFramesOptions {
  /** A longer frame is refused as soon as that is known. */
  readonly frameBytesMax: number;
}

/** One frame of which only a part has come; grows by doubling, never beyond what the frame is known to need. */
class PartialFrame {
  readonly measure: FrameMeasure;
  readonly #bytesMax: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #filled = 0;

  constructor(measure: FrameMeasure, bytesMax: number) {
    this.measure = measure;
    this.#bytesMax = bytesMax;
  }

  /** Takes what it needs from `piece`, beginning at `at`; gives how much that was, and the frame when it is whole. */
  take(piece: Uint8Array, at: number): { taken: number; frame: Uint8Array | null } {
    let taken = 0;
    for (;;) {
      const { need } = this.measure;
      if (need > this.#bytesMax) throw new CorruptionError(`a frame is longer than ${this.#bytesMax} bytes`);
      const wanted = Math.min(need - this.#filled, piece.byteLength - at - taken);
      this.#append(piece.subarray(at + taken, at + taken + wanted), need);
      taken += wanted;
      if (this.#filled < need) return { taken, frame: null };
      const here = this.#buffer.subarray(0, this.#filled);
      if (this.measure.advance(here) !== null) return { taken, frame: here };
    }
  }

  #append(bytes: Uint8Array, need: number): void {
    if (need > this.#buffer.byteLength) {
      const grown = new Uint8Array(Math.min(this.#bytesMax, Math.max(need, this.#buffer.byteLength * 2)));
      grown.set(this.#buffer.subarray(0, this.#filled));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.byteLength;
  }
}

/**
 * The frames of `body` in order, zstd and skippable ones. A frame that lies within one piece is not copied.
 *
 * @throws CorruptionError when what comes is no frame, a frame is longer than `frameBytesMax`, or the last one is cut
 * short
 */
export async function* splitFrames(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { frameBytesMax }: SplitFramesOptions,
): AsyncGenerator<SplitFrame, void, void> {
  let partial: PartialFrame | null = null;
  for await (const piece of body) {
    let at = 0;
    while (at < piece.byteLength) {
      if (partial === null) {
        const measure = new FrameMeasure();
        const length = measure.advance(piece, at);
        if (measure.need > frameBytesMax) throw new CorruptionError(`a frame is longer than ${frameBytesMax} bytes`);
        if (length !== null) {
          yield { bytes: piece.subarray(at, at + length), skippable: measure.skippable };
          at += length;
          continue;
        }
        partial = new PartialFrame(measure, frameBytesMax);
      }
      const { taken, frame } = partial.take(piece, at);
      at += taken;
      if (frame !== null) {
        yield { bytes: frame, skippable: partial.measure.skippable };
        partial = null;
      }
    }
  }
  if (partial !== null) throw new CorruptionError('the last frame is cut short');
}
