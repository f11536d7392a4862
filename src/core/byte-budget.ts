/**
 * One budget for all buffers of the process. Buffers live outside of the V8 heap, where no limit of the runtime bounds
 * them: whoever is about to hold bytes takes them from here first, and waits in order of arrival when there are none.
 */
import { assert } from './errors.ts';

export interface BudgetShare extends Disposable {
  readonly bytes: number;
  /** Gives back all but `bytes` of the share. */
  shrinkTo(bytes: number): void;
}

interface Waiter {
  bytes: number;
  grant(): void;
}

export class ByteBudget {
  #bytesMax: number;
  #held = 0;
  readonly #waiting: Waiter[] = [];

  constructor(bytesMax: number) {
    assert(bytesMax > 0, 'a byte budget must be positive');
    this.#bytesMax = bytesMax;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /**
   * From now on `bytesMax` bytes. What is held above a smaller budget stays held until it is given back; nothing more is
   * granted before.
   */
  resize(bytesMax: number): void {
    assert(bytesMax > 0, 'a byte budget must be positive');
    this.#bytesMax = bytesMax;
    for (const waiter of this.#waiting) waiter.bytes = Math.min(waiter.bytes, bytesMax);
    this.#grantWaiting();
  }

  get held(): number {
    return this.#held;
  }

  /**
   * Waits until `bytes` can be held. A wish above the whole budget is granted as the whole budget, alone: one large
   * thing may always go on, several may not.
   *
   * @throws the signal's reason when it is aborted first
   */
  async take(bytes: number, options: { signal?: AbortSignal | undefined } = {}): Promise<BudgetShare> {
    const { signal } = options;
    signal?.throwIfAborted();
    const wish = Math.min(Math.max(0, Math.ceil(bytes)), this.bytesMax);
    if (this.#waiting.length > 0 || this.#held + wish > this.bytesMax)
      return this.#share(await this.#wait(wish, signal));
    this.#held += wish;
    return this.#share(wish);
  }

  /** The same without waiting: null where it would have to. */
  tryTake(bytes: number): BudgetShare | null {
    const wish = Math.min(Math.max(0, Math.ceil(bytes)), this.bytesMax);
    if (this.#waiting.length > 0 || this.#held + wish > this.bytesMax) return null;
    this.#held += wish;
    return this.#share(wish);
  }

  /** Gives the bytes that were granted in the end: a budget that became smaller grants at most itself. */
  #wait(bytes: number, signal: AbortSignal | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason as Error);
        this.#grantWaiting();
      };
      const waiter: Waiter = {
        bytes,
        grant: () => {
          signal?.removeEventListener('abort', leave);
          resolve(waiter.bytes);
        },
      };
      this.#waiting.push(waiter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #share(bytes: number): BudgetShare {
    let mine = bytes;
    const shrinkTo = (rest: number): void => {
      const given = mine - Math.min(mine, Math.max(0, rest));
      mine -= given;
      this.#held -= given;
      if (given > 0) this.#grantWaiting();
    };
    return {
      get bytes() {
        return mine;
      },
      shrinkTo,
      [Symbol.dispose]: () => shrinkTo(0),
    };
  }

  #grantWaiting(): void {
    for (let first = this.#waiting[0]; first && this.#held + first.bytes <= this.bytesMax; first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#held += first.bytes;
      first.grant();
    }
  }
}
