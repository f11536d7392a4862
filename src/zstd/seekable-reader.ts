/** Random access to the plain bytes of a compressed file, as SpacetimeDB writes closed segments. */
import { CorruptionError } from '../core/errors.ts';
import { decodeForeignFrame } from './foreign.ts';
import { FrameMeasure } from './frame-header.ts';
import { type FrameMap, readExactly, readFrameMap, type SeekableSource } from './frame-map.ts';

/**
 * Neighbouring frames are fetched with one read of the file. Frames are decoded one by one, and the last one is kept:
 * who reads on from where the last read ended decodes no frame twice.
 */
export class SeekableReader {
  /** Of the whole file, decompressed. */
  readonly plainBytes: number;
  readonly #source: SeekableSource;
  readonly #map: FrameMap;
  #kept: { frame: number; plain: Uint8Array } | null = null;

  private constructor(source: SeekableSource, map: FrameMap) {
    this.#source = source;
    this.#map = map;
    this.plainBytes = map.plainBytes;
  }

  /**
   * Reads the seek table; where there is no usable one, goes through the whole file once.
   *
   * @throws CorruptionError, UnsupportedFormatError as `readFrameMap`
   */
  static async open(source: SeekableSource): Promise<SeekableReader> {
    return new SeekableReader(source, await readFrameMap(source));
  }

  /**
   * `length` plain bytes from `from` on; fewer where the file ends. May be a view of memory that later calls return
   * again: not to be written to.
   *
   * @throws CorruptionError when a frame cannot be decoded or is not as long as the map says
   */
  async read(from: number, length: number): Promise<Uint8Array> {
    const end = Math.min(from + length, this.plainBytes);
    if (from >= end) return new Uint8Array(0);
    const first = this.#map.find(from);
    const last = this.#map.find(end - 1);
    const plainAt = this.#map.plainStart(first);
    if (first === last) return (await this.#one(first)).subarray(from - plainAt, end - plainAt);

    const target = new Uint8Array(end - from);
    const isKept = this.#kept?.frame === first;
    const fetchFrom = isKept ? first + 1 : first;
    const fetchedAt = this.#map.start(fetchFrom);
    const fetched = await readExactly(this.#source, fetchedAt, this.#map.start(last + 1) - fetchedAt);
    if (isKept && this.#kept) target.set(this.#kept.plain.subarray(from - plainAt));
    for (let frame = fetchFrom; frame <= last; frame++) {
      const start = this.#map.start(frame) - fetchedAt;
      const plain = await this.#decode(frame, fetched.subarray(start, this.#map.start(frame + 1) - fetchedAt));
      const offset = this.#map.plainStart(frame) - from;
      const part = plain.subarray(Math.max(0, -offset), Math.max(0, end - from - offset));
      target.set(part, Math.max(0, offset));
    }
    return target;
  }

  async #one(frame: number): Promise<Uint8Array> {
    if (this.#kept?.frame === frame) return this.#kept.plain;
    const start = this.#map.start(frame);
    return this.#decode(frame, await readExactly(this.#source, start, this.#map.start(frame + 1) - start));
  }

  async #decode(frame: number, bytes: Uint8Array): Promise<Uint8Array> {
    const plainBytes = this.#map.plainStart(frame + 1) - this.#map.plainStart(frame);
    const measure = new FrameMeasure();
    const length = measure.advance(bytes);
    if (length !== bytes.byteLength) {
      throw new CorruptionError(`the frame at byte ${this.#map.start(frame)} is not as long as its seek table says`);
    }
    if (measure.skippable) return this.#check(frame, new Uint8Array(0), plainBytes);
    const plain = await decodeForeignFrame(bytes, measure, { plainBytesMax: plainBytes });
    const checked = this.#check(frame, plain, plainBytes);
    this.#kept = { frame, plain: checked };
    return checked;
  }

  #check(frame: number, plain: Uint8Array, plainBytes: number): Uint8Array {
    if (plain.byteLength === plainBytes) return plain;
    throw new CorruptionError(
      `the frame at byte ${this.#map.start(frame)} holds ${plain.byteLength} plain bytes, not ${plainBytes}`,
    );
  }
}
