/**
 * What an operator hears of a store that fails: nothing of a hiccup, a warning of an outage, an error of one that lasts
 * or that only a person can end, each repeated seldom; and the good news after any of them.
 */
import type { Clock } from '../../core/clock.ts';
import { errorMessage, type ReplicateError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';

/** From when on a call that fails is worth a word, and how often the word is said again. */
export const LOUDNESS = {
  warn: { afterMs: 10_000, everyMs: 60_000 },
  error: { afterMs: 300_000, everyMs: 600_000 },
} as const;

type Level = keyof typeof LOUDNESS;

export interface FailureFacts {
  readonly what: string;
  /** Since the first of the failures in a row. */
  readonly failingMs: number;
  readonly failures: number;
  readonly delayMs: number;
  /** The store answers, and says no. */
  readonly refused: boolean;
}

export class OutageVoice {
  readonly #clock: Clock;
  readonly #log: Log;
  #said: { readonly level: Level; readonly atMs: number } | null = null;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  failed(error: ReplicateError, { refused, ...facts }: FailureFacts): void {
    const { code, hint } = error;
    const all = { ...facts, code, reason: errorMessage(error), ...(hint === undefined ? {} : { hint }) };
    const level = loudness(facts.failingMs, refused);
    if (level === null || !this.#isNews(level)) {
      this.#log.debug('a call to the store failed; trying again', all);
      return;
    }
    this.#said = { level, atMs: this.#clock.monotonic() };
    if (refused)
      this.#log.error(
        'the store refuses what it allowed before, or is not there: nothing is backed up until somebody mends that',
        all,
      );
    else if (level === 'warn') this.#log.warn('calls to the store fail; trying again', all);
    else
      this.#log.error(
        `calls to the store have failed for ${spokenDuration(facts.failingMs)}: what it lacks exists only here`,
        all,
      );
  }

  /** A call succeeded that had failed since then. */
  recovered(failingSinceMs: number): void {
    if (this.#said === null || this.#said.atMs < failingSinceMs) return;
    this.#said = null;
    const failedMs = this.#clock.monotonic() - failingSinceMs;
    this.#log.info(`the store answers again after ${spokenDuration(failedMs)}`, { failedMs });
  }

  #isNews(level: Level): boolean {
    if (this.#said === null || (level === 'error' && this.#said.level === 'warn')) return true;
    const sinceMs = this.#clock.monotonic() - this.#said.atMs;
    return sinceMs >= LOUDNESS[this.#said.level].everyMs;
  }
}

function loudness(failingMs: number, refused: boolean): Level | null {
  if (refused || failingMs >= LOUDNESS.error.afterMs) return 'error';
  return failingMs >= LOUDNESS.warn.afterMs ? 'warn' : null;
}

/** `42 s`, `7 min`, `3.5 h`. */
function spokenDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
