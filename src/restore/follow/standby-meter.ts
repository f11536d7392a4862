/** What a standby tells of itself: its status when somebody looks, a line in the log now and then. */
import type { Clock } from '../../core/clock.ts';
import type { ReplicateError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { StandbyState, StandbyStatus, TimedPosition } from '../../core/status.ts';
import type { Micros, TxOffset } from '../../core/types.ts';
import type { GenerationName, LogObject } from '../../layout/keys.ts';

const LINE_EVERY_MS = 60_000;

export interface MeterOptions {
  readonly directory: string;
  readonly client: { readonly url: string };
  readonly clock: Clock;
  readonly log: Log;
}

export class StandbyMeter {
  readonly #options: MeterOptions;
  readonly #beganMs: number;
  #state: StandbyState = 'starting';
  #generation: GenerationName | null = null;
  #position: TimedPosition | null = null;
  #newest: TxOffset | null = null;
  /** When what is not applied was first seen. */
  #seenMs: number | null = null;
  #lastSuccess: { readonly at: Micros; readonly ms: number } | null = null;
  #lastError: StandbyStatus['lastError'] = null;
  #logObjects = 0;
  #logBytesStored = 0;
  #said: { readonly ms: number; readonly tx: TxOffset | null } | null = null;

  constructor(options: MeterOptions) {
    this.#options = options;
    this.#beganMs = options.clock.monotonic();
  }

  enter(state: StandbyState): void {
    this.#state = state;
  }

  /** The store answered what it holds of the line. */
  looked({
    newest,
    generation,
  }: {
    readonly newest: TxOffset | null;
    readonly generation: GenerationName | null;
  }): void {
    const { clock } = this.#options;
    this.#lastSuccess = { at: clock.now(), ms: clock.monotonic() };
    this.#newest = newest;
    this.#generation = generation;
    if (this.#state !== 'waiting') this.#state = 'following';
    this.#settle();
  }

  reached(position: TimedPosition): void {
    this.#position = position;
    this.#settle();
  }

  applied({ size }: LogObject): void {
    this.#logObjects += 1;
    this.#logBytesStored += size;
    this.#speak(false);
  }

  /** Nothing is to be applied now. */
  waits({ behind, pending }: { readonly behind: boolean; readonly pending: boolean }): void {
    const { log, directory } = { ...this.#options };
    if (behind && this.#state !== 'waiting') {
      log.warn('the backup ends before this directory does, and agrees with it that far: waiting for it', {
        directory,
      });
    }
    this.#state = behind ? 'waiting' : 'following';
    if (!behind && !pending) this.#speak(this.#said === null);
  }

  failed({ code, message }: ReplicateError): void {
    this.#lastError = { code, message, at: this.#options.clock.now() };
  }

  status(): StandbyStatus {
    const { clock, directory, client } = this.#options;
    const nowMs = clock.monotonic();
    return {
      directory,
      destination: client.url,
      state: this.#state,
      storeAnswered: this.#lastSuccess !== null,
      generation: this.#generation,
      position: this.#position,
      lagTransactions: this.#lag(),
      lagSeconds: this.#seenMs === null ? 0 : (nowMs - this.#seenMs) / 1000,
      lastSuccess: this.#lastSuccess?.at ?? null,
      silentSeconds: (nowMs - (this.#lastSuccess?.ms ?? this.#beganMs)) / 1000,
      lastError: this.#lastError,
      counters: { logObjects: this.#logObjects, logBytesStored: this.#logBytesStored },
    };
  }

  #lag(): number {
    if (this.#newest === null || this.#position === null) return 0;
    return this.#newest > this.#position.tx ? Number(this.#newest - this.#position.tx) : 0;
  }

  #settle(): void {
    if (this.#lag() === 0) this.#seenMs = null;
    else this.#seenMs ??= this.#options.clock.monotonic();
  }

  /** At once where `now`; else now and then, where something was applied since. */
  #speak(now: boolean): void {
    const { clock, log } = this.#options;
    const ms = clock.monotonic();
    const tx = this.#position?.tx ?? null;
    if (!now && (tx === this.#said?.tx || ms - (this.#said?.ms ?? this.#beganMs) < LINE_EVERY_MS)) return;
    this.#said = { ms, tx };
    const lag = this.#lag();
    log.info(lag === 0 ? 'the standby is up to date' : 'the standby follows', {
      tx,
      ...(lag === 0 ? {} : { lagTransactions: lag }),
      logObjects: this.#logObjects,
    });
  }
}
