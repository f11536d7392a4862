/** Objects as bodies again, out of the parts that were fetched ahead. */
import { CorruptionError } from '../core/errors.ts';
import type { FetchedPart, Part } from './fetch-parts.ts';

/** The least and the most that one request asks for: below, requests cost more than bytes; above, memory does. */
const PART_BYTES_MIN = 64 * 1024;
const PART_BYTES_MAX = 8 * 1024 * 1024;
/** Of requests at once, where it is not told how many there are. */
const PARALLELISM_USUAL_MAX = 16;

/**
 * How many bytes one part may have, for a budget of so many bytes in all: those under way at once are half of it. The rest
 * is for what is in use, for parts that are asked for twice, and for large objects of snapshots.
 */
export const partBytesFor = (
  budgetBytes: number,
  { parallelism = PARALLELISM_USUAL_MAX }: { readonly parallelism?: number } = {},
): number => Math.min(PART_BYTES_MAX, Math.max(PART_BYTES_MIN, Math.floor(budgetBytes / (2 * parallelism))));

interface WholeObject {
  readonly key: string;
  readonly size: number;
}

/** An empty object has one part, so that its size is proven as well. */
export const partCount = ({ size }: WholeObject, partBytes: number): number => Math.max(1, Math.ceil(size / partBytes));

/** The parts of one whole object, in order; one at a time, since a size that a store tells may be anything. */
export function* partsOf({ key, size }: WholeObject, partBytes: number): Generator<Part, void, void> {
  for (let start = 0; start === 0 || start < size; start += partBytes) {
    yield { key, objectBytes: size, start, endExclusive: Math.min(size, start + partBytes) };
  }
}

/** Reads the objects of an ordered stream of parts one after the other. */
export class PartStream implements AsyncDisposable {
  readonly #parts: AsyncGenerator<FetchedPart<Part>, void, void>;
  /** Parts of the current object that were not read. */
  #left = 0;

  constructor(parts: AsyncGenerator<FetchedPart<Part>, void, void>) {
    this.#parts = parts;
  }

  /**
   * The next object, which has so many parts. What is not read of it is thrown away when the one after is asked for.
   *
   * @throws CorruptionError when the object was replaced while it was read: objects are immutable
   */
  async *next(count: number): AsyncGenerator<Uint8Array, void, void> {
    while (this.#left > 0) (await this.#take())?.[Symbol.dispose]();
    this.#left = count;
    let version: string | null = null;
    while (this.#left > 0) {
      using part = await this.#take();
      if (part === null) return;
      version ??= part.version;
      if (part.version !== version) {
        throw new CorruptionError(`the object ${part.part.key} was replaced while it was read`, {
          facts: { key: part.part.key },
        });
      }
      yield part.bytes;
    }
  }

  async #take(): Promise<FetchedPart<Part> | null> {
    const { value, done } = await this.#parts.next();
    this.#left -= 1;
    if (done === true || value === undefined) {
      this.#left = 0;
      return null;
    }
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.return();
  }
}
