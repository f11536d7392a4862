/**
 * The two checksums of SpacetimeDB's files and of our format: CRC32C (commits, documents) and BLAKE3 (pages, blobs,
 * packs, manifests). Native: 7 GB/s each; the pure ones are ten to a hundred times slower.
 */
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { crc32c as nativeCrc32c } from '@node-rs/crc32';
import type { Crc32c } from './types.ts';

/** CRC32C of `bytes`; with `previous`, of what that covered followed by `bytes`. */
export function crc32c(bytes: Uint8Array, previous?: Crc32c): Crc32c {
  return nativeCrc32c(bytes, previous) as Crc32c;
}

/** The native hash takes a Buffer: this is a view of the same memory, not a copy. */
const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** BLAKE3 of bytes that come in parts; 32 bytes. */
export class Blake3 {
  readonly #hasher = new Blake3Hasher();

  update(bytes: Uint8Array): this {
    this.#hasher.update(asBuffer(bytes));
    return this;
  }

  digest(): Uint8Array {
    return this.#hasher.digestBuffer();
  }

  /** 64 lower-case hex digits. */
  digestHex(): string {
    return this.#hasher.digest('hex');
  }
}

/** BLAKE3 of `bytes`, 64 lower-case hex digits. */
export const blake3Hex = (bytes: Uint8Array): string => new Blake3().update(bytes).digestHex();
