/**
 * How far a line's log leads from wherever a restore may enter it, for all places at once: names alone, each looked at
 * once. What `walkLine` would find from there, without a walk for each of many snapshots. Pure.
 */
import type { Crc32c, Position, TxOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import { generationStart } from '../layout/walk.ts';

export interface LineReachOptions {
  readonly line: readonly LinePart[];
  readonly objects: ReadonlyMap<GenerationName, readonly LogObject[]>;
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
}

/** The last transaction of the line that any object of it holds; null where there is no object. */
export function furthestOf({ line, objects }: Pick<LineReachOptions, 'line' | 'objects'>): TxOffset | null {
  let furthest: TxOffset | null = null;
  for (const { generation, until } of line) {
    for (const { last } of objects.get(generation) ?? []) {
      const end = until !== null && until.tx < last ? until.tx : last;
      if (furthest === null || end > furthest) furthest = end;
    }
  }
  return furthest;
}

export class LineReach {
  readonly #parts: readonly PartReach[];

  constructor({ line, objects, documents }: LineReachOptions) {
    const parts: PartReach[] = [];
    for (const { generation, until } of line.toReversed()) {
      const own = objects.get(generation) ?? [];
      const document = documents.get(generation);
      const start = document ? generationStart(document, own) : null;
      parts.unshift(new PartReach(own, { until, start, beyond: parts[0]?.fromStart ?? null }));
    }
    this.#parts = parts;
  }

  /** From the objects that hold `tx`; null where none does. */
  holding(tx: TxOffset): TxOffset | null {
    return this.#partOf(tx)?.holding(tx) ?? null;
  }

  /** From the objects that begin with `next`, and continue a commit with one of these checksums; null where none does. */
  following(next: TxOffset, crcs: readonly Crc32c[] | null): TxOffset | null {
    return this.#partOf(next)?.following(next, crcs) ?? null;
  }

  #partOf(tx: TxOffset): PartReach | undefined {
    return this.#parts.find(({ until }) => until === null || until.tx >= tx);
  }
}

interface PartFacts {
  readonly until: Position | null;
  /** Where the generation's own log begins; null where it has none. */
  readonly start: { readonly next: TxOffset; readonly prev: Crc32c } | null;
  /** How far the next part leads from its start; null where there is none, or it leads nowhere. */
  readonly beyond: TxOffset | null;
}

/** From a position: how far the objects lead that continue it. */
interface State {
  readonly prev: Crc32c;
  reach: TxOffset;
}

class PartReach {
  readonly until: Position | null;
  /** Null where it leads nowhere. */
  readonly fromStart: TxOffset | null;
  readonly #start: PartFacts['start'];
  /** By the transaction that comes next. */
  readonly #states = new Map<bigint, State[]>();
  /** Both rise: the furthest that any object leads that begins at or before `first`. */
  readonly #stairs: { readonly first: TxOffset; readonly reach: TxOffset }[] = [];

  constructor(objects: readonly LogObject[], { until, start, beyond }: PartFacts) {
    this.until = until;
    this.#start = start;
    const wanted = objects.filter(({ first }) => until === null || first <= until.tx);
    wanted.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
    const reaches: TxOffset[] = [];
    // From the end: what follows an object begins behind it.
    for (let index = wanted.length - 1; index >= 0; index -= 1) {
      const object = wanted[index] as LogObject;
      const reach =
        until !== null && object.last >= until.tx
          ? (beyond ?? until.tx)
          : (this.#reachOf(object.last + 1n, [object.crc]) ?? object.last);
      this.#offer(object, reach);
      reaches[index] = reach;
    }
    for (const [index, { first }] of wanted.entries()) {
      const reach = reaches[index] as TxOffset;
      const before = this.#stairs.at(-1);
      if (before !== undefined && before.reach >= reach) continue;
      if (before?.first === first) this.#stairs.pop();
      this.#stairs.push({ first, reach });
    }
    const isEmpty = until !== null && start?.next === until.tx + 1n;
    this.fromStart = isEmpty ? beyond : start && this.#reachOf(start.next, [start.prev]);
  }

  #offer({ first, prev }: LogObject, reach: TxOffset): void {
    const states = this.#states.get(first);
    const known = states?.find((state) => state.prev === prev);
    if (states === undefined) this.#states.set(first, [{ prev, reach }]);
    else if (known === undefined) states.push({ prev, reach });
    else if (reach > known.reach) known.reach = reach;
  }

  #reachOf(next: bigint, crcs: readonly Crc32c[] | null): TxOffset | null {
    let furthest: TxOffset | null = null;
    for (const { prev, reach } of this.#states.get(next) ?? []) {
      if ((crcs === null || crcs.includes(prev)) && (furthest === null || reach > furthest)) furthest = reach;
    }
    return furthest;
  }

  holding(tx: TxOffset): TxOffset | null {
    if (this.#start !== null && tx <= this.#start.next) return tx === this.#start.next ? this.fromStart : null;
    // What begins earlier and leads as far as `tx` leads over it: one object on its way holds it, and leads as far.
    const reach = this.#stairAt(tx);
    return reach !== null && reach >= tx ? reach : null;
  }

  following(next: TxOffset, crcs: readonly Crc32c[] | null): TxOffset | null {
    if (this.#start === null || next > this.#start.next) return this.#reachOf(next, crcs);
    const { prev } = this.#start;
    if (next < this.#start.next || (crcs !== null && !crcs.includes(prev))) return null;
    return this.#reachOf(next, [prev]);
  }

  /** Of the last stair at or before `tx`. */
  #stairAt(tx: TxOffset): TxOffset | null {
    let [low, high] = [0, this.#stairs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#stairs[middle] as { first: TxOffset }).first <= tx) low = middle + 1;
      else high = middle;
    }
    return this.#stairs[low - 1]?.reach ?? null;
  }
}
