/** Randomness of a simulation: all of it comes from one seed, so that the seed replays a run exactly. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds begin alike: a few turns part them.
    for (let turn = 0; turn < 4; turn += 1) this.next();
  }

  /** In [0, 1). The generator is mulberry32. */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** In [min, max], whole. */
  int(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws RangeError when there is nothing to pick from */
  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** By weight. @throws RangeError when all weights are 0 */
  weighted<T>(items: readonly (readonly [weight: number, item: T])[]): T {
    let left = this.next() * items.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, item] of items) {
      left -= weight;
      if (left < 0) return item;
    }
    throw new RangeError('all weights are 0');
  }

  /** Mostly short, now and then long: what waiting looks like. */
  delayMs(meanMs: number): number {
    return Math.round(-Math.log(1 - this.next()) * meanMs * 1000) / 1000;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 1) bytes[at] = Math.floor(this.next() * 256);
    return bytes;
  }

  /** So many random bytes as hex digits. */
  readonly hex = (bytes: number): string => Buffer.from(this.bytes(bytes)).toString('hex');

  /** Another stream, which this one does not influence any more. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32));
  }
}
