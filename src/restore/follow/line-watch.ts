/**
 * What the store holds behind a standby's position. Asks one page of a listing each time, and everything only where that
 * cannot tell: at the start, when the head goes over to another generation, when what comes next is in longer objects.
 */
import type { Clock } from '../../core/clock.ts';
import { NoBackupError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { type Crc32c, type Position, type TxOffset, txOffset } from '../../core/types.ts';
import { decodeHeadDocument, type HeadDocument } from '../../layout/head-document.ts';
import { type GenerationName, HEAD_KEY, type LogObject } from '../../layout/keys.ts';
import { chooseGeneration } from '../../layout/line.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import type { StoreView } from '../plan-types.ts';
import { readOrNull, readStore } from '../read-store.ts';
import { lineTo, usableObjects } from '../recoverable.ts';
import { decideFollow, type FollowDecision, type FollowInput } from './decide.ts';
import { pollGeneration } from './poll-generation.ts';

/** How often the head is read where a listing's first page does not reach newer generations. */
const HEAD_EVERY_MS = 15_000;

export interface WatchOptions {
  readonly client: ReplicaClient;
  readonly parallelism: number;
  readonly clock: Clock;
  readonly log: Log;
  /** The checksum of the standby's own commit that ends there; null: none does. */
  readonly endAt: (tx: TxOffset) => Promise<Crc32c | null>;
}

/** Where the standby stands; generation and segment are null where that is not known. */
export interface WatchedPosition extends Position {
  readonly generation: GenerationName | null;
  readonly segment: TxOffset | null;
}

export type Look =
  | (Exclude<FollowDecision, { kind: 'compare' }> & { readonly kind: 'apply' | 'fork' })
  /** `pending`: the line goes on, but what comes next was never acknowledged: its writer is about to store it. */
  | { readonly kind: 'wait'; readonly behind: boolean; readonly pending: boolean }
  | { readonly kind: 'gap'; readonly resumes: TxOffset; readonly view: StoreView; readonly damage: Error | null };

type KnownLine = Pick<FollowInput, 'line' | 'documents'>;

export class LineWatch {
  readonly #options: WatchOptions;
  /** Damaged or gone, by key. */
  readonly #unusable = new Map<string, Error>();
  /** The line whose last generation the position is proven to lie on. */
  #known: KnownLine | null = null;
  #headReadAt = 0;
  /** Last transaction of the longest that was listed. */
  newest: TxOffset | null = null;
  /** The line's last generation. */
  generation: GenerationName | null = null;
  /** The object that ends at the position, as the last look at everything found it; null where none does. */
  place: LogObject | null = null;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** What to do next. @throws CorruptionError, NoBackupError, and what the client throws */
  async look(position: WatchedPosition, signal: AbortSignal): Promise<Look> {
    const quick = this.#known === null ? null : await this.#poll(this.#known, position, signal);
    if (quick !== null) return quick;
    return await this.#lookAtAll(position, signal);
  }

  /** An object turned out to be damaged or gone: all is looked at anew, without it. */
  forget(key: string, reason: Error): void {
    this.#unusable.set(key, reason);
    this.#known = null;
  }

  /** Null where only a look at everything can tell. */
  async #poll(known: KnownLine, position: WatchedPosition, signal: AbortSignal): Promise<Look | null> {
    const { client, clock } = this.#options;
    const generation = known.line.at(-1)?.generation as GenerationName;
    const segment = position.generation === generation ? position.segment : null;
    const polled = await pollGeneration(client, { generation, position, segment: segment ?? txOffset(0n), signal });
    this.#noteNewest(polled.objects);
    if (polled.isNewer || (polled.isCut && clock.monotonic() - this.#headReadAt > HEAD_EVERY_MS)) {
      const head = await this.#readHead(signal);
      if (head?.generation !== generation) return null;
    }
    if (polled.objects.length === 0) return { kind: 'wait', behind: false, pending: false };
    const objects = usableObjects(new Map([[generation, polled.objects]]), this.#unusable);
    const last = known.line.slice(-1);
    const decision = decideFollow({ ...known, line: last, objects, position, localEnds: new Map() });
    if (decision.kind === 'apply') return decision;
    if (decision.kind !== 'gap') return null;
    const head = await this.#readHead(signal);
    return isPending(head, { generation, position }) ? { kind: 'wait', behind: false, pending: true } : null;
  }

  async #readHead(signal: AbortSignal): Promise<HeadDocument | null> {
    const { client, clock } = this.#options;
    const bytes = await readOrNull(HEAD_KEY, { client, signal });
    this.#headReadAt = clock.monotonic();
    return bytes && decodeHeadDocument(bytes);
  }

  async #lookAtAll(position: WatchedPosition, signal: AbortSignal): Promise<Look> {
    const { client, endAt } = this.#options;
    const view = await readStore({ ...this.#options, signal });
    const generation = chooseGeneration(view.head, view.listing.generations);
    if (generation === null) {
      throw new NoBackupError(`there is no backup in ${client.url} any more`, { facts: { url: client.url } });
    }
    this.generation = generation;
    const line = lineTo(view, generation);
    const listed = view.listing.logObjects;
    this.newest = null;
    this.place = null;
    for (const { generation: name, until } of line) {
      const objects = (listed.get(name) ?? []).filter(({ last }) => until === null || last <= until.tx);
      this.#noteNewest(objects);
      this.place ??= objects.find(({ last, crc }) => last === position.tx && crc === position.crc) ?? null;
    }
    const localEnds = new Map<TxOffset, Crc32c | null>();
    const known = { line, documents: view.documents };
    const input: FollowInput = { ...known, objects: usableObjects(listed, this.#unusable), position, localEnds };
    let decision = decideFollow(input);
    while (decision.kind === 'compare') {
      localEnds.set(decision.tx, await endAt(decision.tx));
      decision = decideFollow(input);
    }
    if (decision.kind === 'fork') return decision;
    const isProven = decision.kind === 'wait' && !decision.behind;
    // With pieces, once they are applied: the poll then begins behind them, in the line's last generation.
    const reaches = decision.kind === 'apply' && decision.pieces.at(-1)?.object.generation === generation;
    this.#known = isProven || reaches ? known : null;
    if (decision.kind === 'apply') return decision;
    const damage = this.#damageBehind(position, listed);
    if (decision.kind === 'wait' && damage === null) return { ...decision, pending: false };
    const isLast = position.generation === generation || line.length === 1;
    if (decision.kind === 'gap' && damage === null && isLast && isPending(view.head, { generation, position })) {
      if (position.generation === generation) this.#known = known;
      return { kind: 'wait', behind: false, pending: true };
    }
    const resumes = decision.kind === 'gap' ? decision.resumes : txOffset(position.tx + 1n);
    return { kind: 'gap', resumes, view, damage };
  }

  /** What an object behind the position that is still listed was found to be. */
  #damageBehind({ tx }: Position, listed: ReadonlyMap<GenerationName, readonly LogObject[]>): Error | null {
    for (const objects of listed.values()) {
      for (const { key, last } of objects) {
        const reason = last > tx ? this.#unusable.get(key) : undefined;
        if (reason !== undefined) return reason;
      }
    }
    return null;
  }

  #noteNewest(objects: readonly LogObject[]): void {
    for (const { last } of objects) if (this.newest === null || last > this.newest) this.newest = last;
  }
}

/**
 * Whether the commit behind the position was never told to be stored: a writer stores some objects at once, and the first
 * of them may come last. What a head tells is an unbroken chain.
 */
function isPending(
  head: HeadDocument | null,
  { generation, position }: { readonly generation: GenerationName; readonly position: Position },
): boolean {
  return head?.generation === generation && (head.position === null || head.position.tx <= position.tx);
}
