/**
 * From objects that are acknowledged in any order to the end of the unbroken chain, which alone is ever reported.
 * Pure bookkeeping: ends are begun in order, acknowledged in any.
 */

export interface Pending {
  acknowledge(): void;
}

export class AcknowledgedChain<End> {
  readonly #pending: { end: End; done: boolean }[] = [];
  #stored: End;

  constructor(stored: End) {
    this.#stored = stored;
  }

  /** The end of the unbroken chain. */
  get stored(): End {
    return this.#stored;
  }

  get inFlight(): number {
    return this.#pending.length;
  }

  /** Counts an object that ends at `end` and follows the one begun before it. */
  begin(end: End): Pending {
    const entry = { end, done: false };
    this.#pending.push(entry);
    return {
      acknowledge: () => {
        entry.done = true;
        this.#advance();
      },
    };
  }

  #advance(): void {
    for (let first = this.#pending[0]; first?.done; first = this.#pending[0]) {
      this.#stored = first.end;
      this.#pending.shift();
    }
  }
}
