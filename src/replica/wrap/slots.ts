/** A number of places, given out in order of arrival. */
import { assert } from '../../core/errors.ts';

export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    assert(Number.isInteger(count) && count > 0, 'there must be at least one place');
    this.#free = count;
  }

  /** Gives what lets the place go again; calling that more than once does nothing. @throws the signal's reason */
  async take({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
    let held = true;
    return () => {
      if (held) this.#release();
      held = false;
    };
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(grant), 1);
        reject(signal?.reason as Error);
      };
      const grant = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      this.#waiting.push(grant);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }
}
