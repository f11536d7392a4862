/**
 * Waits until the next log object is due: wakes by file events while the log is idle, by a timer while it is busy.
 *
 * Events are hints. Where they are proven to work an idle log is looked at every IDLE_POLL_MS, where the file system is
 * known for them every TRUSTED_POLL_MS, so that a hundred idle databases cost nothing to speak of; elsewhere once an
 * interval.
 */
import type { Bell } from '../capture/directory-bell.ts';
import type { Clock } from '../core/clock.ts';
import { cutAt, QUIET_MS } from './level-zero.ts';

export const IDLE_POLL_MS = 5_000;
/** The same where the file system is known to send events: each look costs a turn through the thread pool or two. */
export const TRUSTED_POLL_MS = 10_000;

export interface PacerOptions {
  readonly clock: Clock;
  readonly bell: Pick<Bell, 'arm' | 'disarm' | 'armed' | 'trusted'>;
  readonly intervalMs: number;
  /** Whether the log has grown since it was last read. */
  readonly hasGrown: () => Promise<boolean>;
  /** Bytes of the files that grow: changes with each append. */
  readonly extent: () => Promise<number>;
}

export class Pacer {
  readonly #options: PacerOptions;
  #lastCutAt: number | null = null;
  #lastGrowthAt: number | null = null;
  /** When the growth that is not yet cut was first noticed; null when there is none. */
  #pendingSince: number | null = null;
  #eventsWork = false;
  /** Whether the bell has rung since the log was last looked at. */
  #rung = false;
  /** Whether the last wait ended with a look that found nothing. */
  #quiet = false;
  /** Whether a bell may end the wait: not while a timer paces. */
  #idle = false;
  #wake: (() => void) | null = null;
  #wakeNext = false;

  constructor(options: PacerOptions) {
    this.#options = options;
  }

  /** Monotonic milliseconds. */
  get pendingSince(): number | null {
    return this.#pendingSince;
  }

  /** Ends the wait under way, or the next one: something other than the log wants attention. */
  wake(): void {
    if (this.#wake === null) this.#wakeNext = true;
    else this.#wake();
  }

  /** To be told when an object has been cut. */
  cut(): void {
    this.#lastCutAt = this.#options.clock.monotonic();
    this.#pendingSince = null;
  }

  /** Resolves when an object is due, when something rang or woke it (`look`), or when nothing did for a while (`quiet`). */
  async wait({ signal }: { signal: AbortSignal }): Promise<'due' | 'look' | 'quiet'> {
    const { clock, intervalMs, hasGrown, bell } = this.#options;
    const paced = this.#lastCutAt === null ? 0 : this.#lastCutAt + intervalMs - clock.monotonic();
    if (paced > 0) {
      // Busy, or just was: a timer paces. What grows meanwhile is due when it ends.
      const woken = await this.#sleep(paced, { signal });
      if (woken) return 'look';
      if (await hasGrown()) {
        await bell.disarm();
        this.#noteGrowth(this.#lastCutAt ?? clock.monotonic());
        return 'due';
      }
    }
    return this.#waitIdle(signal);
  }

  async #waitIdle(signal: AbortSignal): Promise<'due' | 'look' | 'quiet'> {
    const { clock, bell } = this.#options;
    let woken = false;
    this.#idle = true;
    try {
      const lookedAt = this.#quiet && bell.armed && !this.#rung;
      this.#quiet = false;
      await bell.arm(() => {
        this.#rung = true;
        if (this.#idle) this.#wake?.();
      });
      if (lookedAt || !(await this.#look())) {
        if (!this.#rung) woken = await this.#sleep(this.#idleMs(), { signal });
        const rung = this.#rung;
        if (!(await this.#look())) {
          this.#quiet = !rung && !woken;
          return this.#quiet ? 'quiet' : 'look';
        }
        this.#eventsWork ||= rung;
      }
    } finally {
      this.#idle = false;
    }
    await this.#gather(clock.monotonic(), signal);
    return 'due';
  }

  #idleMs(): number {
    const { bell, intervalMs } = this.#options;
    if (bell.trusted) return Math.max(TRUSTED_POLL_MS, intervalMs);
    return this.#eventsWork ? Math.max(IDLE_POLL_MS, intervalMs) : intervalMs;
  }

  /** Whether the log has grown; what rings from now on is news. */
  #look(): Promise<boolean> {
    this.#rung = false;
    return this.#options.hasGrown();
  }

  /** Waits for the rest of a burst, as the rule of level 0 says. */
  async #gather(firstGrowthAt: number, signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, extent } = this.#options;
    const pace = { intervalMs, lastCutAt: this.#lastCutAt, growthBeforeAt: this.#lastGrowthAt, firstGrowthAt };
    let lastGrowthAt = firstGrowthAt;
    let seen = await extent();
    for (;;) {
      const left = cutAt({ ...pace, lastGrowthAt }) - clock.monotonic();
      if (left <= 0) break;
      await clock.sleep(Math.min(left, QUIET_MS), { signal });
      const now = await extent();
      if (now !== seen) lastGrowthAt = clock.monotonic();
      seen = now;
    }
    this.#noteGrowth(firstGrowthAt);
  }

  #noteGrowth(since: number): void {
    this.#pendingSince = since;
    this.#lastGrowthAt = this.#options.clock.monotonic();
  }

  /** Whether it was woken before its time. */
  async #sleep(ms: number, { signal }: { signal: AbortSignal }): Promise<boolean> {
    if (this.#wakeNext) {
      this.#wakeNext = false;
      return true;
    }
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    try {
      await this.#options.clock.sleep(ms, { signal: AbortSignal.any([signal, woken.signal]) });
      return false;
    } catch (error) {
      if (woken.signal.aborted && !signal.aborted) return true;
      throw error;
    } finally {
      this.#wake = null;
    }
  }
}
