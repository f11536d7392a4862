/**
 * Slow requests are asked a second time: whoever answers first is taken, the other is let go. A single bad socket, or one
 * busy server among many, then costs one part a little time and not the restore its pace.
 *
 * Invariants: no more than a few per cent of the requests are asked twice; a second request begins only with memory that
 * is free at once; the outcome is that of the first request unless the second one succeeds before it ends.
 */

/** Of how many of the last requests of about the same size the slow ones are told. */
const SAMPLES_MAX = 64;
/** Fewer say nothing of what is slow. */
const SAMPLES_MIN = 16;
const PERCENTILE = 0.95;
/** Below, a pause of this process looks like a slow store. */
const DELAY_MS_MIN = 100;
/** What of all requests may be asked twice, and how many more. */
const HEDGED_SHARE_MAX = 0.05;
const HEDGED_MIN = 1;
/** Longer requests are compared with longer ones: the time of shorter ones is that of the way there and back. */
const LONG_BYTES_MIN = 256 * 1024;

/** What is known of the requests of one run. */
export class HedgePolicy {
  readonly #short: number[] = [];
  readonly #long: number[] = [];
  #requests = 0;
  #hedged = 0;

  /** A request of so many bytes took so long. */
  note(bytes: number, ms: number): void {
    const samples = this.#samplesOf(bytes);
    samples.push(ms);
    if (samples.length > SAMPLES_MAX) samples.shift();
    this.#requests += 1;
  }

  /** After how many ms a request of so many bytes is slow; null where that is not known yet. */
  delayMs(bytes: number): number | null {
    const samples = this.#samplesOf(bytes);
    if (samples.length < SAMPLES_MIN) return null;
    const ascending = samples.toSorted((a, b) => a - b);
    return Math.max(DELAY_MS_MIN, ascending[Math.floor(ascending.length * PERCENTILE)] ?? 0);
  }

  /** Whether one more request may be asked twice; if so, it counts. */
  tryHedge(): boolean {
    if (this.#hedged >= HEDGED_MIN + this.#requests * HEDGED_SHARE_MAX) return false;
    this.#hedged += 1;
    return true;
  }

  #samplesOf(bytes: number): number[] {
    return bytes < LONG_BYTES_MIN ? this.#short : this.#long;
  }
}

export interface HedgeOptions {
  readonly policy: HedgePolicy;
  /** That the request is for. */
  readonly bytes: number;
  /** Takes the memory of a second request; null where there is none. It is given back when that request has ended. */
  readonly spare: () => Disposable | null;
  readonly signal: AbortSignal;
}

/** @throws what the first request throws */
export async function hedge<T>(ask: (signal: AbortSignal) => Promise<T>, options: HedgeOptions): Promise<T> {
  const { policy, bytes, signal } = options;
  const beganMs = performance.now();
  using requests = new Requests(ask, signal);
  const first = requests.begin();
  const delayMs = policy.delayMs(bytes);
  const result = await (delayMs === null ? first : withSecond(first, requests, { ...options, delayMs }));
  policy.note(bytes, performance.now() - beganMs);
  return result;
}

async function withSecond<T>(
  first: Promise<T>,
  requests: Requests<T>,
  { policy, spare, delayMs }: HedgeOptions & { readonly delayMs: number },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const second = new Promise<T>((resolve) => {
    const begin = (): void => {
      const memory = isOver ? null : spare();
      if (memory === null) return;
      if (!policy.tryHedge()) return memory[Symbol.dispose]();
      // Its failure is no matter: the first request goes on.
      requests
        .begin()
        .then(resolve, () => undefined)
        .finally(() => memory[Symbol.dispose]())
        .catch(() => undefined);
    };
    // After a pause of this process the answer may lie in the socket already: it is read before anything is asked.
    timer = setTimeout(() => setImmediate(begin), delayMs);
  });
  try {
    return await Promise.race([first, second]);
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
}

/** Requests for the same, which end together. */
class Requests<T> implements Disposable {
  readonly #ask: (signal: AbortSignal) => Promise<T>;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  #begun = 0;
  readonly #onAbort = (): void => this.#stop.abort(this.#signal.reason);

  constructor(ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) {
    this.#ask = ask;
    this.#signal = signal;
    signal.throwIfAborted();
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  begin(): Promise<T> {
    this.#begun += 1;
    const answer = this.#ask(this.#stop.signal);
    // Where the other one was first, nobody waits for it any more.
    answer.catch(() => undefined);
    return answer;
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (this.#begun > 1) this.#stop.abort(new Error('another request for the same has answered'));
  }
}
