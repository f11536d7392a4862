/**
 * How long an upload may take. Neither end of a connection sees its bytes move: the system takes megabytes at once and
 * sends them as slowly as the line does, so that a slow line and a store that hangs look alike for minutes. What tells
 * them apart is a small request beside it: while that is answered, the store is there.
 *
 * Invariants: whatever the line's speed, a body of any length gets through some time, because an upload that is too slow
 * for its limit, at a store that answers, gets more time at its next attempt; one at a store that does not answer is
 * given up after two requests' time-outs, however long the body is.
 */
import { UPLOAD_RATE_MIN } from './s3-options.ts';

const STRETCH_FACTOR = 4;
/** Down to 64 bytes a second. */
const STRETCH_MAX = 4096;
/** From a shorter body nothing is learnt: its time is that of the answer. */
const TELLING_BYTES_MIN = 64 * 1024;
/** A line that has become so much slower than at the last upload is still given its time. */
const SPARE_FACTOR = 4;

export class UploadPace {
  readonly #requestTimeoutMs: number;
  #stretch = 1;

  constructor({ requestTimeoutMs }: { readonly requestTimeoutMs: number }) {
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /** Of one attempt with a body of so many bytes. */
  limitMs(bytes: number): number {
    return this.#requestTimeoutMs + Math.ceil((bytes / UPLOAD_RATE_MIN) * 1000 * this.#stretch);
  }

  /** An upload has reached its limit at a store that answers. */
  wasTooSlow(): void {
    this.#stretch = Math.min(STRETCH_MAX, this.#stretch * STRETCH_FACTOR);
  }

  passed(bytes: number, tookMs: number): void {
    if (bytes < TELLING_BYTES_MIN) return;
    const bytesPerSecond = (bytes * 1000) / Math.max(1, tookMs);
    this.#stretch = Math.max(1, Math.min(this.#stretch, (UPLOAD_RATE_MIN / bytesPerSecond) * SPARE_FACTOR));
  }
}

export interface UploadWatchOptions {
  readonly requestTimeoutMs: number;
  readonly limitMs: number;
  /** Whether the store answers a small request now. */
  readonly probe: () => Promise<boolean>;
  readonly onEnd: (why: 'no-answer' | 'too-slow') => void;
}

/** Looks after one upload until it is disposed. */
export class UploadWatch implements Disposable {
  readonly #options: UploadWatchOptions;
  readonly #beganMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: UploadWatchOptions) {
    this.#options = options;
    this.#schedule();
  }

  #schedule(): void {
    const { requestTimeoutMs, limitMs } = this.#options;
    const leftMs = limitMs - (performance.now() - this.#beganMs);
    this.#timer = setTimeout(() => void this.#look(), Math.max(0, Math.min(requestTimeoutMs, leftMs)));
  }

  async #look(): Promise<void> {
    const { limitMs, probe, onEnd } = this.#options;
    const isAlive = await probe();
    if (this.#isOver) return;
    if (!isAlive) onEnd('no-answer');
    else if (performance.now() - this.#beganMs >= limitMs) onEnd('too-slow');
    else this.#schedule();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
