/**
 * Packs: snapshot objects back to back, each its own zstd frame, and nothing else. A pack is named by the BLAKE3 of its
 * bytes; where each object lies in it is told by the manifests.
 *
 * An object is compressed whole and is never split over frames or packs. One that is longer than a pack should be is a
 * pack alone.
 */
import { Blake3 } from '../core/checksum.ts';
import { assert, UnsupportedFormatError } from '../core/errors.ts';
import { decodeFrame, encodeFrame } from '../zstd/frame.ts';
import { corruptObject, inObject } from './object-error.ts';

/** A pack is finished once it has so many bytes. */
export const PACK_BYTES_TARGET = 32 * 1024 * 1024;
/** SpacetimeDB's pages have 64 KiB; blobs are single values of users' rows. */
export const OBJECT_PLAIN_BYTES_MAX = 1024 * 1024 * 1024;
/** zstd's bound for incompressible input, generously. */
export const OBJECT_BYTES_MAX = OBJECT_PLAIN_BYTES_MAX + OBJECT_PLAIN_BYTES_MAX / 128;
/** A pack that is just below its target takes one more object. */
export const PACK_BYTES_MAX = PACK_BYTES_TARGET + OBJECT_BYTES_MAX;

/** Where an object lies in a pack. */
export interface ObjectPlace {
  /** Of its frame. */
  readonly offset: number;
  /** Of its frame. */
  readonly length: number;
  readonly plainLength: number;
}

export interface FinishedPack {
  /** BLAKE3 of all bytes, 64 hex digits: the pack's name. */
  readonly hash: string;
  readonly bytes: number;
  /** The pack's bytes, in order. */
  readonly parts: readonly Uint8Array[];
}

export class PackBuilder {
  readonly #level: number;
  readonly #bytesTarget: number;
  readonly #hash = new Blake3();
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;
  #finished = false;
  /** Settles when every object that was added so far has its place. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param bytesTarget at how many bytes it is full; where memory is short, less than the usual 32 MiB */
  constructor({ level, bytesTarget = PACK_BYTES_TARGET }: { readonly level: number; readonly bytesTarget?: number }) {
    this.#level = level;
    this.#bytesTarget = bytesTarget;
  }

  /** Of the objects that have their place. */
  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#bytesTarget;
  }

  /**
   * Adds an object behind all that were added before. Several may be under way at once; each `plain` must not change
   * until its place is known.
   *
   * @throws UnsupportedFormatError when it is longer than OBJECT_PLAIN_BYTES_MAX
   */
  async add(plain: Uint8Array): Promise<ObjectPlace> {
    assert(!this.#finished, 'an object was added to a finished pack');
    if (plain.byteLength > OBJECT_PLAIN_BYTES_MAX) {
      throw new UnsupportedFormatError(
        `a snapshot object has ${plain.byteLength} bytes; at most ${OBJECT_PLAIN_BYTES_MAX} can be stored`,
        { hint: 'Split that value over several rows. Until then the log is backed up, and this snapshot is not.' },
      );
    }
    const before = this.#last;
    const encoding = encodeFrame(plain, { level: this.#level });
    const placing = (async (): Promise<ObjectPlace> => {
      const [frame] = await Promise.all([encoding, before]);
      return this.#append(frame, plain.byteLength);
    })();
    this.#last = placing;
    return placing;
  }

  #append(frame: Uint8Array, plainLength: number): ObjectPlace {
    const place = { offset: this.#bytes, length: frame.byteLength, plainLength };
    this.#hash.update(frame);
    this.#parts.push(frame);
    this.#bytes += frame.byteLength;
    return place;
  }

  /** Ends the pack; the builder is of no use afterwards. @throws what an `add` threw */
  async finish(): Promise<FinishedPack> {
    this.#finished = true;
    await this.#last;
    return { hash: this.#hash.digestHex(), bytes: this.#bytes, parts: this.#parts };
  }
}

/** The plain bytes of one object's frame. @throws CorruptionError naming `key` and the place */
export async function unpackObject(
  frame: Uint8Array,
  place: ObjectPlace,
  { key }: { readonly key: string },
): Promise<Uint8Array> {
  return inObject(key, `in the object at byte ${place.offset}`, async () => {
    const plain = await decodeFrame(frame, { plainBytesMax: place.plainLength });
    if (plain.byteLength === place.plainLength && frame.byteLength === place.length) return plain;
    throw corruptObject(key, `has an object at byte ${place.offset} that is not as long as the manifest says`);
  });
}
