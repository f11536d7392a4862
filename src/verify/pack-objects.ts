/** The objects of one pack, each proven by its hash while the pack's bytes pass. */
import { Blake3 } from '../core/checksum.ts';
import { CorruptionError } from '../core/errors.ts';
import { corruptObject, inObject } from '../layout/object-error.ts';
import { unpackObject } from '../layout/pack.ts';
import { giveBack } from '../restore/give-back.ts';
import { checkObject, PAGE_BYTES_MAX } from '../spacetimedb/page.ts';
import { StreamedFrame } from '../zstd/streamed-frame.ts';
import type { PackMemory, PackShare, WantedObject } from './pack-memory.ts';

/** Takes the bytes of one object's frame, in pieces of any size. */
interface ObjectCheck extends Disposable {
  /** @throws CorruptionError, TooLongError */
  push(piece: Uint8Array): Promise<void>;
  /** All bytes have come. @throws as `push` */
  finish(): Promise<void>;
}

export interface PackObjectsOptions {
  readonly key: string;
  readonly memory: PackMemory;
  readonly share: PackShare;
  /** Told of each object that the budget does not hold, with one that would. */
  readonly onTooLong: (object: WantedObject, budgetBytes: number) => void;
}

/** Its window is longer than the share allows. Not damage. */
class TooLongError extends Error {
  readonly windowBytes: number;

  constructor(windowBytes: number) {
    super(`a window of ${windowBytes} bytes`);
    this.windowBytes = windowBytes;
  }
}

export class PackObjects implements Disposable {
  readonly #options: PackObjectsOptions;
  /** By rising offset. */
  readonly #objects: readonly WantedObject[];
  #next = 0;
  /** Where in the pack the next byte lies. */
  #at = 0;
  #check: ObjectCheck | null = null;
  /** The first thing that is wrong. The others are read all the same: a pack's name tells whether it was altered. */
  #failure: CorruptionError | null = null;

  constructor(objects: readonly WantedObject[], options: PackObjectsOptions) {
    this.#options = options;
    this.#objects = objects.toSorted((a, b) => a.offset - b.offset);
  }

  /** The next bytes of the pack. @throws what is no damage */
  async push(bytes: Uint8Array): Promise<void> {
    const end = this.#at + bytes.byteLength;
    for (let object = this.#objects[this.#next]; object !== undefined; object = this.#objects[this.#next]) {
      if (object.offset >= end) break;
      const objectEnd = object.offset + object.length;
      const begin = bytes.byteLength - (end - Math.max(object.offset, this.#at));
      const piece = bytes.subarray(begin, bytes.byteLength - Math.max(0, end - objectEnd));
      if (object.offset >= this.#at) this.#begin(object);
      await this.#run(object, (check) => check.push(piece));
      if (objectEnd > end) break;
      await this.#run(object, (check) => check.finish());
      this.#end();
      this.#next += 1;
      const following = this.#objects[this.#next];
      if (following === undefined || following.offset >= objectEnd) continue;
      this.#failure ??= corruptObject(this.#options.key, 'has places by manifests that overlap');
      this.#next = this.#objects.length;
    }
    this.#at = end;
  }

  /** What is wrong with any of the objects, once all bytes have come; null where nothing is. */
  failure(): CorruptionError | null {
    if (this.#failure !== null || this.#next === this.#objects.length) return this.#failure;
    return new CorruptionError(`manifests name places beyond the end of ${this.#options.key}`);
  }

  #begin(object: WantedObject): void {
    const { memory } = this.#options;
    if (memory.isWhole(object)) this.#check = new WholeCheck(object, this.#options);
    else if (object.kind === 'blob') this.#check = new StreamedBlob(object, this.#options);
    else
      this.#failure ??= corruptObject(this.#options.key, `has a page at byte ${object.offset} that is longer than any`);
  }

  async #run(object: WantedObject, step: (check: ObjectCheck) => Promise<void>): Promise<void> {
    if (this.#check === null) return;
    try {
      await step(this.#check);
    } catch (error) {
      if (error instanceof CorruptionError) this.#failure ??= error;
      else if (error instanceof TooLongError) {
        this.#options.onTooLong(object, this.#options.memory.budgetFor(error.windowBytes));
      } else throw error;
      this.#end();
    }
  }

  #end(): void {
    this.#check?.[Symbol.dispose]();
    this.#check = null;
  }

  [Symbol.dispose](): void {
    this.#end();
  }
}

/** A page, or a blob of a page's size: decoded at once. */
class WholeCheck implements ObjectCheck {
  readonly #object: WantedObject;
  readonly #key: string;
  #frame: Uint8Array | null = null;
  #filled = 0;

  constructor(object: WantedObject, { key }: PackObjectsOptions) {
    this.#object = object;
    this.#key = key;
  }

  async push(piece: Uint8Array): Promise<void> {
    const { length } = this.#object;
    if (piece.byteLength === length) return await this.#prove(piece);
    this.#frame ??= new Uint8Array(length);
    this.#frame.set(piece, this.#filled);
    this.#filled += piece.byteLength;
    if (this.#filled === length) await this.#prove(this.#frame);
  }

  async #prove(frame: Uint8Array): Promise<void> {
    const { kind, hash, plainLength } = this.#object;
    const plain = await unpackObject(frame, this.#object, { key: this.#key });
    checkObject({ kind, hash, bytes: plain });
    if (plainLength > PAGE_BYTES_MAX) giveBack(plain);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.#frame = null;
  }
}

/** A blob of any length: hashed as it is decoded. */
class StreamedBlob implements ObjectCheck {
  readonly #object: WantedObject;
  readonly #key: string;
  readonly #hash = new Blake3();
  readonly #frame: StreamedFrame;
  #plainBytes = 0;

  constructor(object: WantedObject, { key, share }: PackObjectsOptions) {
    this.#object = object;
    this.#key = key;
    this.#frame = new StreamedFrame({
      plainBytesMax: object.plainLength,
      onHeader: ({ windowSize }) => {
        if (windowSize > share.windowBytesMax) throw new TooLongError(windowSize);
      },
      onPlain: (bytes) => {
        this.#hash.update(bytes);
        this.#plainBytes += bytes.byteLength;
      },
    });
  }

  push(piece: Uint8Array): Promise<void> {
    return this.#named(() => this.#frame.push(piece));
  }

  finish(): Promise<void> {
    return this.#named(async () => {
      await this.#frame.finish();
      const { hash, offset, plainLength } = this.#object;
      if (this.#plainBytes !== plainLength) {
        throw corruptObject(this.#key, `has an object at byte ${offset} that is not as long as the manifest says`);
      }
      const found = this.#hash.digestHex();
      if (found === hash) return;
      throw new CorruptionError(`blob ${hash} of a snapshot is not what its name says: its hash is ${found}`);
    });
  }

  #named(work: () => Promise<void>): Promise<void> {
    return inObject(this.#key, `in the object at byte ${this.#object.offset}`, work);
  }

  [Symbol.dispose](): void {
    this.#frame[Symbol.dispose]();
  }
}
