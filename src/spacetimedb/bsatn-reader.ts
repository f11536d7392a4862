/** Reads the few BSATN shapes that snapshots are made of: little-endian integers, and arrays with a u32 length. */

/** A length or a value does not fit the bytes. Callers give it a name and a place. */
export class MalformedBsatn extends RangeError {}

export class BsatnReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get bytesLeft(): number {
    return this.#bytes.byteLength - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** An array of exactly `length` bytes, its own u32 length before it. */
  fixedBytes(length: number): Uint8Array {
    const found = this.u32();
    if (found !== length) throw new MalformedBsatn(`an array of ${found} bytes where ${length} belong`);
    return this.bytes(length);
  }

  /** A u32 count of things that are each at least `bytesMin` long: never more than can follow. */
  count(bytesMin: number): number {
    const found = this.u32();
    if (found * bytesMin > this.bytesLeft) throw new MalformedBsatn(`${found} entries in ${this.bytesLeft} bytes`);
    return found;
  }

  requireEnd(): void {
    if (this.bytesLeft !== 0) throw new MalformedBsatn(`${this.bytesLeft} bytes too many`);
  }

  #take(length: number): number {
    if (length > this.bytesLeft) throw new MalformedBsatn(`${length} bytes wanted, ${this.bytesLeft} left`);
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
