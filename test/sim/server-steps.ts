/** What a server has begun: one step at a time, with a little time between them in which others can look. */
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export class ServerSteps {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #label: string;
  readonly #steps: (() => void)[] = [];
  #isWaiting = false;

  constructor({ name, scheduler, random }: { name: string; scheduler: Scheduler; random: Random }) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#label = `${name} step`;
  }

  get idle(): boolean {
    return this.#steps.length === 0;
  }

  /** After all that is begun. */
  add(...steps: (() => void)[]): void {
    this.#steps.push(...steps);
    if (!this.#isWaiting) this.#wait();
  }

  /** Before all else that is begun: the parts of the step that calls this. */
  next(...steps: (() => void)[]): void {
    this.#steps.unshift(...steps);
  }

  /** The process is gone. */
  clear(): void {
    this.#steps.length = 0;
  }

  #wait(): void {
    this.#isWaiting = this.#steps.length > 0;
    if (!this.#isWaiting) return;
    const inMs = this.#random.chance(0.5) ? 0 : this.#random.delayMs(3);
    this.#scheduler.at(inMs, { label: this.#label }, () => {
      this.#steps.shift()?.();
      this.#wait();
    });
  }
}
