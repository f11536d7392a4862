/**
 * Virtual time for many actors. Invariants: time moves on only when every actor waits; what is due at one time happens in
 * an order that the seed chooses; one thing happens at a time, and all that follows from it without waiting is over
 * before the next.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Random } from './random.ts';

/** A world of its own that can be killed or frozen: what is due to it does not reach it then. */
export class Mailbox {
  readonly name: string;
  #state: 'open' | 'frozen' | 'closed' = 'open';
  #held: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get state(): 'open' | 'frozen' | 'closed' {
    return this.#state;
  }

  /** For good. */
  close(): void {
    this.#state = 'closed';
    this.#held = [];
  }

  freeze(): void {
    if (this.#state === 'open') this.#state = 'frozen';
  }

  /** What came meanwhile is due at once. */
  thaw(scheduler: Scheduler): void {
    if (this.#state !== 'frozen') return;
    this.#state = 'open';
    const held = this.#held;
    this.#held = [];
    for (const work of held) scheduler.at(0, { label: 'thawed', to: this }, work);
  }

  deliver(work: () => void): void {
    if (this.#state === 'open') work();
    else if (this.#state === 'frozen') this.#held.push(work);
  }
}

export interface Timer {
  cancelled: boolean;
}

interface Due extends Timer {
  readonly atMs: number;
  readonly label: string;
  readonly to: Mailbox | null;
  readonly work: () => void;
}

export interface SchedulerOptions {
  readonly random: Random;
  /** Told of everything that happens, for a person. */
  readonly onTrace?: ((line: string) => void) | undefined;
}

export class Scheduler {
  readonly random: Random;
  readonly #onTrace: ((line: string) => void) | null;
  readonly #hash: Hash = createHash('sha256');
  /** Descending by time, so that what is due next is last. */
  readonly #due: Due[] = [];
  #nowMs = 0;
  #happened = 0;

  constructor({ random, onTrace }: SchedulerOptions) {
    this.random = random;
    this.#onTrace = onTrace ?? null;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** How much has happened so far. */
  get happened(): number {
    return this.#happened;
  }

  /** In `inMs`; for a closed mailbox never, for a frozen one when it is thawed. */
  at(inMs: number, { label, to = null }: { label: string; to?: Mailbox | null }, work: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + Math.max(0, inMs), label, to, work, cancelled: false };
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#due[middle] as Due).atMs > due.atMs) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, due);
    return due;
  }

  /** Resolves in `inMs`, unless its mailbox is closed first. */
  wait(inMs: number, options: { label: string; to?: Mailbox | null }): Promise<void> {
    return new Promise((resolve) => {
      this.at(inMs, options, resolve);
    });
  }

  /** Lets the next thing happen. False when nothing is due any more. */
  async step(): Promise<boolean> {
    const next = this.#take();
    if (next === null) return false;
    this.#nowMs = next.atMs;
    this.#happened += 1;
    this.note(next.to === null ? next.label : `${next.to.name} ${next.label}`);
    if (next.to === null) next.work();
    else next.to.deliver(next.work);
    await quiet();
    return true;
  }

  /** Everything that is due within `ms`. */
  async run(ms: number, options: { until?: () => boolean } = {}): Promise<void> {
    const end = this.#nowMs + ms;
    // What was begun from outside comes to its first wait before time moves.
    await quiet();
    while (options.until?.() !== true && (this.#due.at(-1)?.atMs ?? Number.POSITIVE_INFINITY) <= end) await this.step();
    if (options.until?.() !== true) this.#nowMs = Math.max(this.#nowMs, end);
  }

  /** A line of the trace: its hash tells two runs apart. */
  note(line: string): void {
    this.#hash.update(`${this.#nowMs} ${line}\n`);
    this.#onTrace?.(`${(this.#nowMs / 1000).toFixed(3).padStart(10)} ${line}`);
  }

  /** Of the whole trace so far. */
  traceHash(): string {
    return this.#hash.copy().digest('hex').slice(0, 16);
  }

  #take(): Due | null {
    for (;;) {
      const last = this.#due.at(-1);
      if (last === undefined) return null;
      let same = 1;
      while ((this.#due.at(-same - 1)?.atMs ?? -1) === last.atMs) same += 1;
      const index = same === 1 ? this.#due.length - 1 : this.#due.length - 1 - this.random.int(0, same - 1);
      const [chosen] = this.#due.splice(index, 1);
      if (chosen !== undefined && !chosen.cancelled && chosen.to?.state !== 'closed') return chosen;
    }
  }
}

/** Resolves when every microtask that could run has run. */
const quiet = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
