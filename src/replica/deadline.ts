/** One call's end: the caller's AbortSignal, or the client's own deadline, whichever comes first. */
import { UnavailableError } from './replica-client.ts';

export interface DeadlineOptions {
  readonly timeoutMs: number;
  /** For the message: `put of log/0/… in s3://bucket`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `signal` aborts with the caller's reason, or with an UnavailableError when the time is up. An own controller instead
 * of AbortSignal.any: the caller's signal lives as long as the daemon, and is left without a listener when the call ends.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal | undefined;
  readonly #leave = (): void => this.#controller.abort(this.#caller?.reason);

  /** @throws the signal's reason when it is already aborted */
  constructor({ timeoutMs, what, signal }: DeadlineOptions) {
    signal?.throwIfAborted();
    this.#caller = signal;
    this.#timer = setTimeout(() => this.#controller.abort(timeoutError(what, timeoutMs)), timeoutMs);
    signal?.addEventListener('abort', this.#leave, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** There was progress: the time begins anew. */
  touch(): void {
    this.#timer.refresh();
  }

  /** The time is up already, for a reason of its own. */
  expire(message: string): void {
    this.#controller.abort(unanswered(message));
  }

  /**
   * `work`, unless the end comes first. Work that cannot be stopped goes on unseen: `discard` gets what it brings.
   *
   * @throws the signal's reason
   */
  async race<T>(work: Promise<T>, options: { discard?: (late: T) => unknown } = {}): Promise<T> {
    const { signal } = this;
    let leave: (() => void) | undefined;
    const ended = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason as Error);
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
    });
    try {
      return await Promise.race([work, ended]);
    } catch (error) {
      if (signal.aborted) {
        work.then(options.discard, () => undefined);
        throw signal.reason;
      }
      throw error;
    } finally {
      if (leave) signal.removeEventListener('abort', leave);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#leave);
  }
}

function timeoutError(what: string, timeoutMs: number): UnavailableError {
  return unanswered(`no answer within ${timeoutMs} ms: ${what}`, { timeoutMs });
}

const unanswered = (message: string, facts: Readonly<Record<string, number>> = {}): UnavailableError =>
  new UnavailableError(message, {
    hint: 'Check that the store can be reached from here and is not overloaded; -request-timeout sets the limit.',
    facts,
  });
