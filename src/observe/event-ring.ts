/** The last lines of the log, kept in memory for the support bundle. */

export interface LogEvent {
  /** RFC 3339, milliseconds, UTC. */
  readonly time: string;
  readonly level: string;
  readonly message: string;
  /** Plain JSON without secrets. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export class EventRing {
  readonly #eventsMax: number;
  readonly #events: LogEvent[] = [];
  #next = 0;

  constructor(eventsMax: number) {
    this.#eventsMax = eventsMax;
  }

  push(event: LogEvent): void {
    this.#events[this.#next] = event;
    this.#next = (this.#next + 1) % this.#eventsMax;
  }

  /** Oldest first. */
  toArray(): readonly LogEvent[] {
    if (this.#events.length < this.#eventsMax) return [...this.#events];
    return [...this.#events.slice(this.#next), ...this.#events.slice(0, this.#next)];
  }
}
