/**
 * What the checks of several packs at once hold beside the parts that they read: taken from the budget before the first
 * part, and never more while it is read. So nobody who holds bytes waits for others', and the sum stays below the budget.
 */
import type { BudgetShare, ByteBudget } from '../core/byte-budget.ts';
import type { PackedObject } from '../layout/manifest.ts';
import { PAGE_BYTES_MAX } from '../spacetimedb/page.ts';
import type { ObjectKind } from '../spacetimedb/snapshot-file.ts';

export interface WantedObject extends PackedObject {
  readonly kind: ObjectKind;
}

/** Beside its window a decoder holds two blocks, and what it gives. */
const DECODER_BYTES = 1024 * 1024;
/** At the least a page and its frame, which may be a little longer. */
const WHOLE_BYTES_MIN = 2 * PAGE_BYTES_MAX + 16 * 1024;
const WHOLE_BYTES_MAX = 1024 * 1024;
const WHOLE_PART = 16;
const STREAMED_PART = 2;

export interface PackShare extends Disposable {
  /** The longest window that an object of the pack may have. */
  readonly windowBytesMax: number;
}

export class PackMemory {
  readonly #budget: ByteBudget;
  /** One pack at a time has objects that are decoded as they flow. */
  #streaming: Promise<unknown> = Promise.resolve();

  constructor(budget: ByteBudget) {
    this.#budget = budget;
  }

  /** Whether an object and its frame are held as a whole. */
  isWhole({ length, plainLength }: WantedObject): boolean {
    const part = Math.floor(this.#budget.bytesMax / WHOLE_PART);
    return length + plainLength <= Math.max(WHOLE_BYTES_MIN, Math.min(WHOLE_BYTES_MAX, part));
  }

  /** The budget with which a window of so many bytes would be held. */
  budgetFor(windowBytes: number): number {
    return STREAMED_PART * (windowBytes + DECODER_BYTES);
  }

  /** @throws the signal's reason */
  async take(objects: readonly WantedObject[], { signal }: { readonly signal: AbortSignal }): Promise<PackShare> {
    let [wholeBytes, streamedBytes] = [0, 0];
    for (const object of objects) {
      const { length, plainLength } = object;
      if (this.isWhole(object)) wholeBytes = Math.max(wholeBytes, length + plainLength);
      else if (object.kind === 'blob') streamedBytes = Math.max(streamedBytes, plainLength + DECODER_BYTES);
    }
    streamedBytes = Math.min(streamedBytes, Math.floor(this.#budget.bytesMax / STREAMED_PART));
    const windowBytesMax = streamedBytes - DECODER_BYTES;
    if (streamedBytes === 0) return toShare(await this.#budget.take(wholeBytes, { signal }), windowBytesMax);
    const before = this.#streaming;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#streaming = promise;
    try {
      await before;
      const share = await this.#budget.take(wholeBytes + streamedBytes, { signal });
      return toShare(share, windowBytesMax, () => resolve(undefined));
    } catch (error) {
      resolve(undefined);
      throw error;
    }
  }
}

function toShare(share: BudgetShare, windowBytesMax: number, onEnd = (): void => undefined): PackShare {
  return {
    windowBytesMax,
    [Symbol.dispose]: () => {
      share[Symbol.dispose]();
      onEnd();
    },
  };
}
