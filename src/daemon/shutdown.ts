/**
 * How the program is told to end. The first signal asks for a last sync, which may take `timeoutMs`; a second one, or the
 * end of that time, stops at once: what is unsaved then stays unsaved, and the exit code says so.
 */
import type { Clock } from '../core/clock.ts';
import { InterruptedError, isAbort } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

export type StopSignal = 'SIGINT' | 'SIGTERM';
export interface Signals {
  /** Gives what undoes it. `because` stands for the signal where none was sent: what else asks for the end, and is told. */
  onSignal(handler: (signal: NodeJS.Signals, because?: string) => void): () => void;
}

/** After how long it is said what the end waits for; then after twice as long, and so on. */
const SAY_FIRST_MS = 5_000;
/** After a stop at once, how long what hangs may keep the process. */
const HANG_MS_MAX = 2_000;

export interface ShutdownOptions {
  readonly signals: Signals;
  /** Ends the process at once. */
  readonly exit: (code: number) => never;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, at the first signal. */
  readonly drain: () => void;
  /** Names of what has not ended yet. Default: nothing is named. */
  readonly waitedFor?: () => readonly string[];
}

export class Shutdown implements Disposable {
  readonly #options: ShutdownOptions;
  readonly #stop = new AbortController();
  readonly #timer = new AbortController();
  readonly #unlisten: () => void;
  #asked: StopSignal | null = null;

  constructor(options: ShutdownOptions) {
    this.#options = options;
    this.#unlisten = options.signals.onSignal((signal, because) => {
      this.#receive(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM', because);
    });
  }

  /** Aborted, with an InterruptedError, when the work must stop at once. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  #receive(signal: StopSignal, because?: string): void {
    const { log, drain, timeoutMs } = this.#options;
    if (this.#asked !== null) {
      this.#abort(signal, `stopped by a second signal (${signal}) before all was stored`);
      return;
    }
    this.#asked = signal;
    if (because === undefined) log.info(`${signal}: storing what is left`, { timeoutSeconds: timeoutMs / 1000 });
    drain();
    void this.#expire(signal, timeoutMs);
  }

  async #exitWhenHanging({ exitCode, message }: InterruptedError): Promise<void> {
    const { exit, log } = this.#options;
    if (!(await this.#sleep(HANG_MS_MAX))) return;
    log.error(message);
    exit(exitCode);
  }

  async #expire(signal: StopSignal, timeoutMs: number): Promise<void> {
    let leftMs = timeoutMs;
    for (let stepMs = SAY_FIRST_MS; leftMs > 0; stepMs *= 2) {
      const sleepMs = Math.min(leftMs, stepMs);
      if (!(await this.#sleep(sleepMs))) return;
      leftMs -= sleepMs;
      if (leftMs > 0) this.#sayWaiting(leftMs);
    }
    this.#abort(signal, `not all was stored within the shutdown timeout of ${timeoutMs / 1000} s`);
  }

  #sayWaiting(leftMs: number): void {
    const names = this.#names();
    const text = names === '' ? 'still storing what is left' : `still storing what is left: ${names}`;
    this.#options.log.info(text, { secondsLeft: leftMs / 1000 });
  }

  /** What has not ended, in words; empty where that is not known. */
  #names(): string {
    return this.#options.waitedFor?.().join(', ') ?? '';
  }

  /** False when all had ended before. */
  async #sleep(ms: number): Promise<boolean> {
    try {
      await this.#options.clock.sleep(ms, { signal: this.#timer.signal });
      return true;
    } catch (error) {
      if (isAbort(error)) return false;
      throw error;
    }
  }

  #abort(signal: StopSignal, message: string): void {
    const hint = 'What was acknowledged is safe; the next start goes on from there.';
    const names = this.#names();
    const error = new InterruptedError(names === '' ? message : `${message}: ${names}`, { signal, hint });
    this.#stop.abort(error);
    void this.#exitWhenHanging(error);
  }

  [Symbol.dispose](): void {
    this.#unlisten();
    this.#timer.abort();
  }
}
