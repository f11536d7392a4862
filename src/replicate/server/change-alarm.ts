/**
 * Waiting for the next look: until the interval is over, or a little after something rang. Events are hints, so that a
 * look comes in either case; a ring during the work counts for the wait after it.
 */
import type { Bell } from '../../capture/directory-bell.ts';
import type { Clock } from '../../core/clock.ts';

/** After a ring: a server that publishes a database writes for a while. Also the least time between two looks. */
const SETTLE_MS = 500;

export class ChangeAlarm {
  readonly #bell: Bell;
  readonly #clock: Clock;
  #rung = new AbortController();

  constructor(bell: Bell, { clock }: { readonly clock: Clock }) {
    this.#bell = bell;
    this.#clock = clock;
  }

  /** What changed before this resolves must be looked for. */
  async arm(): Promise<void> {
    await this.#bell.arm(() => this.#rung.abort());
  }

  /** @throws the signal's reason */
  async wait(ms: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const rung = this.#rung.signal;
    try {
      await this.#clock.sleep(ms, { signal: AbortSignal.any([signal, rung]) });
    } catch (error) {
      if (signal.aborted || !rung.aborted) throw error;
    }
    if (!rung.aborted) return;
    await this.#clock.sleep(Math.min(SETTLE_MS, ms), { signal });
    this.#rung = new AbortController();
  }
}
