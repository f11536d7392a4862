/**
 * Whom a signal is for while `-exec` runs a server: the server as long as it lives, then ourselves.
 *
 * Invariant: while the server lives, no signal ends or drains our own work; its end drains it once, whatever the cause;
 * a signal after that is the second one for whoever listens, and ends what is left at once.
 */
import type { Log } from '../core/log.ts';
import type { Signals } from './shutdown.ts';

/** What an operator or a supervisor sends to a server. All but the two last end it unless it says otherwise. */
export const PASSED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** A terminal sends these to every process of its foreground group, the server among them. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGHUP']);
/** Say nothing of an end. */
const OF_NO_CONCERN: ReadonlySet<NodeJS.Signals> = new Set(['SIGUSR1', 'SIGUSR2']);

export interface ProcessSignals {
  onSignal(handler: (signal: NodeJS.Signals) => void, names?: readonly NodeJS.Signals[]): () => void;
}

export interface ExecSignalsOptions {
  readonly signals: ProcessSignals;
  /** Whether the standard input is a terminal: it then sends its signals to the server itself. */
  readonly terminal: boolean;
  readonly log: Log;
}

type Handler = Parameters<Signals['onSignal']>[0];
type Receiver = (signal: NodeJS.Signals) => void;

/** A `Signals` for the work beside the server. It listens to the process from its construction on. */
export class ExecSignals implements Signals, Disposable {
  readonly #terminal: boolean;
  readonly #log: Log;
  readonly #unlisten: () => void;
  readonly #handlers = new Set<Handler>();
  /** The server, while it lives. */
  #server: Receiver | null = null;
  #asked: { readonly signal: NodeJS.Signals; readonly because?: string } | null = null;

  constructor({ signals, terminal, log }: ExecSignalsOptions) {
    this.#terminal = terminal;
    this.#log = log;
    this.#unlisten = signals.onSignal((signal) => this.#receive(signal), PASSED_SIGNALS);
  }

  /** What asked our own work to end: a signal, or the server's end. Null while nothing did. */
  get asked(): NodeJS.Signals | null {
    return this.#asked?.signal ?? null;
  }

  /** Who listens late is told at once of what came before, since the work must not begin as if nothing had. */
  onSignal(handler: Handler): () => void {
    this.#handlers.add(handler);
    const asked = this.#asked;
    if (asked !== null) queueMicrotask(() => this.#handlers.has(handler) && handler(asked.signal, asked.because));
    return () => this.#handlers.delete(handler);
  }

  /** From now on signals are for the server. */
  passTo(server: Receiver): void {
    this.#server = server;
  }

  /** The server is gone: its last words are to be stored. */
  serverEnded(because: string): void {
    this.#server = null;
    this.#tell('SIGTERM', because);
  }

  #receive(signal: NodeJS.Signals): void {
    if (this.#server === null) {
      if (!OF_NO_CONCERN.has(signal)) this.#tell(signal);
    } else if (this.#terminal && FROM_TERMINAL.has(signal)) {
      this.#log.debug('the server has this signal from the terminal', { signal });
    } else {
      this.#log.info('signal passed on to the server', { signal });
      this.#server(signal);
    }
  }

  #tell(signal: NodeJS.Signals, because?: string): void {
    this.#asked ??= because === undefined ? { signal } : { signal, because };
    for (const handler of this.#handlers) handler(signal, because);
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }
}
