/**
 * Which objects of one generation, one after the other, hold its commits. Pure: names alone, from a listing.
 *
 * From a position the candidates are the objects with `first` one above it and `prev` its checksum. The walk takes the
 * one with the greatest `last`, on a tie the higher level; where that leads less far than another candidate, the other
 * one is taken. Objects that no walk from the start reaches are left over.
 */
import { CorruptionError } from '../core/errors.ts';
import {
  type Crc32c,
  formatCrc,
  formatPosition,
  type Micros,
  type Position,
  type TxOffset,
  txOffset,
  U64_MAX,
} from '../core/types.ts';
import type { GenerationDocument } from './generation-document.ts';
import type { LogObject } from './keys.ts';
import { TIME_MIN } from './time.ts';

/** Where a walk begins: after a position; or in whatever object covers a transaction, when its checksum is unknown. */
export type WalkStart = { readonly next: TxOffset; readonly prev: Crc32c } | { readonly covering: TxOffset };

export interface WalkStep {
  readonly object: LogObject;
  /** Where the object must be cut, after comparing the checksum there; null when all of it belongs to the walk. */
  readonly cut: Position | null;
}

export interface WalkEnd extends Position {
  /** Of the last commit. */
  readonly segment: TxOffset;
  /** The line's time there. Where the last object is cut this is that of the object before, which may be earlier. */
  readonly time: Micros;
  readonly timeIsExact: boolean;
}

export interface Walk {
  readonly chain: readonly WalkStep[];
  /** Null when the chain is empty. */
  readonly end: WalkEnd | null;
  /** `until`: the asked point is reached; also by an empty chain that begins there. `end`: no object leads further. */
  readonly reached: 'until' | 'end';
  /**
   * Objects that no walk from the start reaches, in the order given; with `until`, those that begin behind it as well.
   * What is reached and not needed is not here.
   */
  readonly unreached: readonly LogObject[];
}

export interface WalkOptions {
  /** The walk ends here: the point at which a child branched off. */
  readonly until?: Position | undefined;
}

interface Node {
  readonly object: LogObject;
  /** How far any walk gets that takes this object. */
  reach: TxOffset;
  best: Node | null;
}

const byFirst = (a: LogObject, b: LogObject): number => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0);

/** Whether `a` is taken before `b` where both are candidates. */
function isBetter(a: Node, b: Node): boolean {
  if (a.reach !== b.reach) return a.reach > b.reach;
  if (a.object.last !== b.object.last) return a.object.last > b.object.last;
  if (a.object.level !== b.object.level) return a.object.level > b.object.level;
  // Only where a walk begins within objects: less to read before the asked transaction.
  return a.object.first > b.object.first;
}

/** Remembers the checksum at each end. @throws CorruptionError on a second one for the same transaction */
class Ends {
  readonly #known = new Map<bigint, { readonly crc: Crc32c; readonly key: string }>();

  add(tx: TxOffset, crc: Crc32c, key: string): void {
    const known = this.#known.get(tx);
    if (known === undefined) {
      this.#known.set(tx, { crc, key });
    } else if (known.crc !== crc) {
      throw new CorruptionError(
        `transaction ${tx} has two checksums, ${formatCrc(known.crc)} by ${known.key} and ${formatCrc(crc)} by ${key}`,
        { facts: { tx, key }, hint: 'Two histories lie in one generation. Keep both objects, and report this.' },
      );
    }
  }

  /** No object that comes later in the walk can end there. */
  delete(tx: bigint): void {
    this.#known.delete(tx);
  }
}

/**
 * Checksums of the commits after which a walk may go on, by the transaction that comes next. What lies before the object
 * in hand is forgotten: a log has hundreds of thousands of objects.
 */
class States {
  readonly #crcs = new Map<bigint, Crc32c[]>();

  add(next: bigint, crc: Crc32c): void {
    const known = this.#crcs.get(next);
    if (known === undefined) this.#crcs.set(next, [crc]);
    else if (!known.includes(crc)) known.push(crc);
  }

  has(next: bigint, crc: Crc32c): boolean {
    return this.#crcs.get(next)?.includes(crc) ?? false;
  }

  delete(next: bigint): void {
    this.#crcs.delete(next);
  }
}

const isAscending = (objects: readonly LogObject[]): boolean =>
  objects.every((object, index) => index === 0 || (objects[index - 1] as LogObject).first <= object.first);

/** The nodes that walks from `start` reach, ascending by `first`. */
function reachable(objects: readonly LogObject[], start: WalkStart, until: Position | undefined): Node[] {
  const ends = new Ends();
  const states = new States();
  if ('next' in start) {
    states.add(start.next, start.prev);
    if (start.next > 0n) ends.add(txOffset(start.next - 1n), start.prev, 'the start of the walk');
  }
  if (until) ends.add(until.tx, until.crc, 'the parent point');
  const nodes: Node[] = [];
  let first: TxOffset | null = null;
  for (const object of isAscending(objects) ? objects : [...objects].sort(byFirst)) {
    if (until && object.first > until.tx) break;
    if (first !== null && object.first !== first) {
      states.delete(first);
      if (first > 0n) ends.delete(first - 1n);
    }
    first = object.first;
    const isCovering = 'covering' in start && object.first <= start.covering && object.last >= start.covering;
    if (!isCovering && !states.has(object.first, object.prev)) continue;
    ends.add(object.last, object.crc, object.key);
    nodes.push({ object, reach: object.last, best: null });
    states.add(object.last + 1n, object.crc);
  }
  return nodes;
}

/** The best node for each state: by the transaction it begins with, one for each checksum before. */
class BestNodes {
  readonly #nodes = new Map<bigint, Node[]>();

  get(next: bigint, prev: Crc32c): Node | null {
    return this.#nodes.get(next)?.find(({ object }) => object.prev === prev) ?? null;
  }

  offer(node: Node): void {
    const { first, prev } = node.object;
    const rivals = this.#nodes.get(first);
    if (rivals === undefined) {
      this.#nodes.set(first, [node]);
      return;
    }
    const at = rivals.findIndex(({ object }) => object.prev === prev);
    if (at < 0) rivals.push(node);
    else if (isBetter(node, rivals[at] as Node)) rivals[at] = node;
  }
}

/** Found from the end backwards, so that no walk is tried twice. */
function chooseBest(nodes: readonly Node[], until: Position | undefined): BestNodes {
  const best = new BestNodes();
  for (let index = nodes.length - 1; index >= 0; index -= 1) {
    const node = nodes[index] as Node;
    const { object } = node;
    if (until && object.last >= until.tx) {
      node.reach = until.tx;
    } else {
      node.best = best.get(object.last + 1n, object.crc);
      if (node.best) node.reach = node.best.reach;
    }
    best.offer(node);
  }
  return best;
}

function firstNode(nodes: readonly Node[], best: BestNodes, start: WalkStart): Node | null {
  if ('next' in start) return best.get(start.next, start.prev);
  let chosen: Node | null = null;
  for (const node of nodes) {
    const { first, last } = node.object;
    if (first > start.covering || last < start.covering) continue;
    if (chosen === null || isBetter(node, chosen)) chosen = node;
  }
  return chosen;
}

function endOf(chain: readonly WalkStep[]): WalkEnd | null {
  const step = chain.at(-1);
  if (step === undefined) return null;
  const { object, cut } = step;
  if (cut === null) {
    return { tx: object.last, crc: object.crc, segment: object.segment, time: object.time, timeIsExact: true };
  }
  const before = chain.at(-2)?.object.time;
  return { ...cut, segment: object.segment, time: before ?? TIME_MIN, timeIsExact: false };
}

/** @throws CorruptionError when two objects that the walk can reach give one transaction two checksums */
export function walkGeneration(objects: readonly LogObject[], start: WalkStart, { until }: WalkOptions = {}): Walk {
  const nodes = reachable(objects, start, until);
  const best = chooseBest(nodes, until);
  const chain: WalkStep[] = [];
  let reached: Walk['reached'] = beginsAt(start, until) ? 'until' : 'end';
  let node = reached === 'until' ? null : firstNode(nodes, best, start);
  for (; node !== null; node = node.best) {
    const { object } = node;
    chain.push({ object, cut: until && object.last > until.tx ? until : null });
    if (until && object.last >= until.tx) reached = 'until';
  }
  const known = new Set(nodes.map(({ object }) => object));
  return { chain, end: endOf(chain), reached, unreached: objects.filter((object) => !known.has(object)) };
}

const beginsAt = (start: WalkStart, until: Position | undefined): boolean =>
  until !== undefined && 'next' in start && start.next === until.tx + 1n;

/**
 * Where a generation's chain begins: behind its parent point; without a parent at the smallest `first` whose `prev` is
 * 0. Null when a parentless generation has no such object: nothing is stored yet, or its beginning is gone.
 */
export function generationStart(
  document: GenerationDocument,
  objects: readonly LogObject[],
): { readonly next: TxOffset; readonly prev: Crc32c } | null {
  const { parent } = document;
  if (parent !== null) {
    const { tx, crc } = parent.position;
    if (tx === U64_MAX)
      throw new CorruptionError(`${document.generation} branches at ${formatPosition(parent.position)}`);
    return { next: txOffset(tx + 1n), prev: crc };
  }
  let first: LogObject | null = null;
  for (const object of objects) {
    if (object.prev === 0 && (first === null || object.first < first.first)) first = object;
  }
  return first && { next: first.first, prev: first.prev };
}
