/**
 * Buffers that parts are fetched into, used again by the parts that follow: nothing is left for the garbage collector,
 * and the pages of memory are there already.
 *
 * Invariants: a buffer is with one part at a time; after disposal none is kept. One whose part failed, or was asked for
 * twice, does not come back.
 */
import { giveBack } from './give-back.ts';

/** Of a part much smaller than a buffer the rest would be held for nothing. */
const FILLED_MIN = 1 / 4;

export class PartBuffers implements Disposable {
  /** Of each buffer. */
  readonly #bytes: number;
  readonly #free: ArrayBufferLike[] = [];
  #isDisposed = false;

  /** @param partBytes of the usual part: longer ones, and much shorter ones, have memory of their own */
  constructor(partBytes: number) {
    this.#bytes = partBytes;
  }

  /** What a part of so many bytes holds. */
  heldBytes(wanted: number): number {
    return this.#fits(wanted) ? this.#bytes : wanted;
  }

  /** Memory for `wanted` bytes, with whatever it held before. */
  take(wanted: number): Uint8Array {
    if (!this.#fits(wanted)) return Buffer.allocUnsafeSlow(wanted);
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes).buffer;
    return new Uint8Array(buffer, 0, wanted);
  }

  /** To be called once, with what `take` gave, when nobody uses it any more. */
  giveBack(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength !== this.#bytes) return;
    if (this.#isDisposed) giveBack(bytes);
    else this.#free.push(bytes.buffer);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const buffer of this.#free.splice(0)) giveBack(new Uint8Array(buffer));
  }

  #fits(wanted: number): boolean {
    return wanted <= this.#bytes && wanted >= this.#bytes * FILLED_MIN;
  }
}
