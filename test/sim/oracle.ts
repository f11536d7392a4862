/**
 * What must hold whatever happens. Watches every object that is written and everything that a writer says is stored, and
 * compares what can be restored with what really happened.
 */
import { ReplicateError } from '../../src/core/errors.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../../src/layout/generation-document.ts';
import { decodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { type GenerationName, HEAD_KEY, parseKey } from '../../src/layout/keys.ts';
import { type Commit, type History, leadsTo } from './history.ts';
import type { Random } from './random.ts';
import type { RestorePlace, Restored } from './restored.ts';
import type { SimProcess } from './sim-process.ts';
import type { Bucket } from './sim-store.ts';
import { demand, Violation } from './violation.ts';

export interface OracleOptions {
  readonly bucket: Bucket;
  readonly history: History;
  readonly place: RestorePlace;
  readonly owner: string;
  /** Whether all writers read one log, and that one has never lost or changed anything. */
  readonly isOneHistory: () => boolean;
  readonly nowMs: () => number;
}

/** Reasons that only a changed log gives. */
const BREAKS: ReadonlySet<string> = new Set(['rolled-back', 'gap', 'damaged', 'replaced']);
/** Errors that say that the log, or the store, is not what it was. */
const ALARMS: ReadonlySet<string> = new Set(['SOURCE_DIVERGED', 'CORRUPTION', 'UNSUPPORTED_FORMAT', 'BUG']);

export class Oracle {
  readonly #options: OracleOptions;
  readonly #written = new Map<string, Buffer>();
  /** What an unfenced writer of a generation said is stored. */
  readonly acknowledged = new Map<string, Commit>();
  readonly generations = new Map<GenerationName, GenerationDocument>();
  head: HeadDocument | null = null;
  readonly #replaced = new Set<string>();
  /** The session under which each process last wrote the head, and the sessions that know that they did. */
  readonly #sessions = new Map<number, string>();
  readonly #aware = new Set<string>();
  /** The generations that the head has named. */
  readonly #led = new Set<GenerationName>();
  /** When each process last wrote the head. */
  readonly #renewedAt = new Map<number, number>();
  /** What each process said last, and the furthest that was said of a generation. */
  readonly #saidLast = new Map<SimProcess, { readonly generation: string; readonly commit: Commit }>();
  readonly #said = new Map<string, Commit>();
  /** The furthest that was ever acknowledged. */
  #furthest: Commit | null = null;
  #violation: Error | null = null;
  restores = 0;

  constructor(options: OracleOptions) {
    this.#options = options;
    options.bucket.onPut = (key, bytes) => this.#noting(() => this.#onPut(key, Buffer.from(bytes)));
  }

  /** Thrown into what is watched, a violation would be taken for a fault of the store: it is kept until it is asked for. */
  #noting(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#violation ??= error as Error;
    }
  }

  /** @throws the first violation that was seen */
  throwIfViolated(): void {
    if (this.#violation !== null) throw this.#violation;
  }

  #onPut(key: string, bytes: Buffer): void {
    const parsed = parseKey(key);
    demand(parsed !== null, () => `an object of an unknown name was written: ${key}`);
    if (key === HEAD_KEY) {
      this.#onHead(decodeHeadDocument(bytes));
      return;
    }
    const before = this.#written.get(key);
    demand(before === undefined || before.equals(bytes), () => `${key} was written twice with different bytes`);
    this.#written.set(key, bytes);
    if (parsed.kind === 'generation') this.#onGeneration(decodeGenerationDocument(bytes, { key }));
    if (parsed.kind !== 'manifest') return;
    const stored = this.#said.get(parsed.generation);
    demand((stored?.last ?? -1n) >= parsed.tx, () => `${key} was written with a log stored up to ${stored?.last}`);
  }

  #onGeneration(document: GenerationDocument): void {
    const { generation, reason } = document;
    this.generations.set(generation, document);
    demand(
      !BREAKS.has(reason) || !this.#options.isOneHistory(),
      () => `${generation} began as ${reason} without a cause`,
    );
  }

  /** A process is about to write: its lease is half a ttl old at most. */
  onSend(process: SimProcess, key: string): void {
    this.#noting(() => this.#checkLease(process, key));
  }

  /** A process has learned that its write of the head was done. */
  onHeadAnswer(process: SimProcess): void {
    const session = this.#sessions.get(process.options.pid);
    if (session !== undefined) this.#aware.add(session);
  }

  #checkLease(process: SimProcess, key: string): void {
    const kind = parseKey(key)?.kind;
    if (kind !== 'log' && kind !== 'pack' && kind !== 'manifest') return;
    const now = this.#options.nowMs();
    const age = now - (this.#renewedAt.get(process.options.pid) ?? Number.NEGATIVE_INFINITY);
    // A renewal may have been done long before its answer came: then the lease was asked for just now, if not renewed.
    const asked = process.headAnsweredAt === now;
    const isFresh = asked || age <= process.options.leaseTtlMs / 2;
    demand(isFresh, () => `${process.mailbox.name} writes ${key} under a lease of ${age} ms`);
  }

  /** A process has ended, with an error or without. */
  onEnd(process: SimProcess, error: unknown): void {
    this.#noting(() => this.#checkEnd(process, error));
  }

  #checkEnd(process: SimProcess, error: unknown): void {
    const { name } = process.mailbox;
    demand(process.leaked === 0, () => `${name} left ${process.leaked} files open`);
    if (!(error instanceof ReplicateError)) {
      demand(error === null || process.stopped, () => `${name} ended with ${String(error)}`);
      return;
    }
    const { code, message } = error;
    demand(
      !ALARMS.has(code) || !this.#options.isOneHistory(),
      () => `${name} raised a false alarm: ${code} ${message}`,
    );
    const isItself = this.head?.process.pid === process.options.pid;
    demand(
      !isItself || (code !== 'FENCED' && code !== 'LEASE_HELD'),
      () => `${name} was shut out by itself: ${message}`,
    );
  }

  #onHead(head: HeadDocument): void {
    const { session, owner, generation } = head;
    demand(owner === this.#options.owner, () => `owner ${owner} took the head`);
    if (this.head !== null && this.head.session !== session) this.#replaced.add(this.head.session);
    // One that never learned that it held the head is like one that never did: it may begin anew, behind the other.
    const mayTake = !this.#replaced.has(session) || (!this.#aware.has(session) && !this.#led.has(generation));
    demand(mayTake, () => `${session} took the head back into ${generation}`);
    this.#led.add(generation);
    this.#sessions.set(head.process.pid, session);
    this.#renewedAt.set(head.process.pid, this.#options.nowMs());
    this.head = head;
  }

  /** What a process says now. */
  listen(process: SimProcess): void {
    const said = process.stored();
    if (said === null) return;
    const { generation, position } = said;
    const commit = this.#options.history.find(position);
    demand(commit !== undefined, () => `${process.mailbox.name} stored ${position.tx}, which no server wrote`);
    const last = this.#saidLast.get(process);
    if (last?.commit === commit && last.generation === generation) return;
    this.#saidLast.set(process, { generation, commit });
    if (commit.last > (this.#said.get(generation)?.last ?? -1n)) this.#said.set(generation, commit);
    this.onHeadAnswer(process);
    const isHolder = this.head?.generation === generation && this.head.process.pid === process.options.pid;
    demand(isHolder, () => `${process.mailbox.name} says ${commit.last} is stored in ${generation}, but lost the head`);
    const before = this.acknowledged.get(generation) ?? null;
    if (before === commit) return;
    demand(
      leadsTo(before, commit),
      () => `${generation}: the stored position went from ${before?.last} to ${commit.last}`,
    );
    this.acknowledged.set(generation, commit);
    if (this.#furthest === null || commit.last > this.#furthest.last) this.#furthest = commit;
  }

  /** The line that a restore takes by itself holds all that was acknowledged in its newest generation. */
  async check(): Promise<Restored | null> {
    const head = this.head?.generation;
    const restored = await this.#restore(head);
    if (restored === null) return null;
    const ofHead = (head && this.acknowledged.get(head)) ?? null;
    const acknowledged = this.#options.isOneHistory() ? this.#furthest : ofHead;
    demand(
      leadsTo(acknowledged, restored.end),
      () => `a restore ends at ${restored.end.last}, but ${acknowledged?.last} was acknowledged in ${head}`,
    );
    return restored;
  }

  /** Some generations, each by itself, hold what was acknowledged in them. */
  async checkGenerations(random: Random, { most }: { most: number }): Promise<void> {
    const left = [...this.acknowledged];
    for (let n = 0; n < most && left.length > 0; n += 1) {
      const [[generation, acknowledged]] = left.splice(random.int(0, left.length - 1), 1) as [[string, Commit]];
      const restored = await this.#restore(generation, { generation });
      if (restored === null) continue;
      demand(
        leadsTo(acknowledged, restored.end),
        () => `a restore of ${generation} ends at ${restored.end.last}, but ${acknowledged.last} was acknowledged`,
      );
    }
  }

  /** Null where nothing can be restored, and that is right. */
  async #restore(of: string | undefined, options: { generation?: string } = {}): Promise<Restored | null> {
    const { place, bucket, history } = this.#options;
    this.restores += 1;
    try {
      return await place.restore(bucket, history, options);
    } catch (error) {
      if (!(error instanceof ReplicateError)) throw error;
      if (error.code === 'NO_BACKUP' || error.code === 'UNRECOVERABLE_POINT') {
        if (this.#hasNoBase(of)) return null;
      }
      throw new Violation(`a restore of ${options.generation ?? 'the head'} failed: ${error.code} ${error.message}`);
    }
  }

  /** Whether nothing was acknowledged in the line of a generation, or it begins above 0 and has no snapshot yet. */
  #hasNoBase(generation: string | undefined): boolean {
    let acknowledged = false;
    let hasSnapshot = false;
    let name = generation as GenerationName | undefined;
    while (name !== undefined) {
      acknowledged ||= this.acknowledged.has(name);
      for (const key of this.#written.keys()) hasSnapshot ||= key.startsWith(`generations/${name}/snapshots/`);
      const document = this.generations.get(name);
      const parent = document?.parent ?? null;
      if (parent === null) break;
      name = parent.generation;
    }
    if (!acknowledged) return true;
    const reason = name === undefined ? undefined : this.generations.get(name)?.reason;
    return !hasSnapshot && this.startsAboveZero(name) && reason !== undefined;
  }

  startsAboveZero(name: GenerationName | undefined): boolean {
    for (const key of this.#written.keys()) {
      const parsed = parseKey(key);
      if (parsed?.kind === 'log' && parsed.name.generation === name && parsed.name.first === 0n) return false;
    }
    return true;
  }
}
