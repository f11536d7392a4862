/** From when a commit is written to when /metrics says that it is stored: lag as somebody outside measures it. */
import { setTimeout as delay } from 'node:timers/promises';

const ASK_EVERY_MS = 10;

export class LagWatch {
  readonly #url: string;
  readonly #writtenAt = new Map<bigint, number>();
  readonly #lags: number[] = [];
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;
  #storedTx = -1n;

  constructor(addr: string) {
    this.#url = `http://${addr}/metrics`;
    this.#watching = this.#watch();
  }

  /** The last transaction that was seen stored; -1 before. */
  get storedTx(): bigint {
    return this.#storedTx;
  }

  /** Milliseconds, for each commit that was written and stored while the program ran. */
  get lags(): readonly number[] {
    return this.#lags;
  }

  wrote(tx: bigint): void {
    this.#writtenAt.set(tx, performance.now());
  }

  /** What was written while the program was dead says nothing of its lag. */
  forgetUnstored(): void {
    this.#writtenAt.clear();
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const stored = await this.#ask();
      const now = performance.now();
      if (stored !== null && stored > this.#storedTx) {
        this.#storedTx = stored;
        for (const [tx, at] of this.#writtenAt) {
          if (tx > stored) continue;
          this.#lags.push(now - at);
          this.#writtenAt.delete(tx);
        }
      }
      await delay(ASK_EVERY_MS);
    }
  }

  async #ask(): Promise<bigint | null> {
    try {
      const answer = await fetch(this.#url, { signal: AbortSignal.timeout(2000) });
      const found = /^stdb_replicate_stored_tx_offset\{.*\} (\d+)$/m.exec(await answer.text());
      return found?.[1] === undefined ? null : BigInt(found[1]);
    } catch {
      // It is killed on purpose, and not there yet after its start.
      return null;
    }
  }
}
