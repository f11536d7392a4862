/**
 * Our place in head.json: replaces what we wrote last by something new, or proves that it is ours no longer.
 *
 * Invariants: in exclusive mode nothing but our own last document is ever replaced. A swap whose answer never came is
 * settled by reading: our session has won, our old version is swapped again, anything else is a loss. In advisory mode
 * the head is read before each write, and a foreign session is a loss.
 */
import type { Clock } from '../core/clock.ts';
import { encodeHeadDocument, type HeadDocument } from '../layout/head-document.ts';
import { HEAD_KEY } from '../layout/keys.ts';
import {
  type ObjectVersion,
  PreconditionFailedError,
  type ReplicaClient,
  UnsupportedByStoreError,
} from '../replica/replica-client.ts';
import { readHead, type StoredHead } from './head-lease-read.ts';
import type { LeaseMode } from './lease-mode.ts';

/** Swaps that are refused although head.json is what they name, before the store is called broken. */
const REFUSALS_MAX = 4;
/** Only long sessions pay for this question: neither a restart nor one pass renews twice. */
const STALE_SWAP_AT_RENEWAL = 2;
/** In which another starter's write, asked for before it could see ours, arrives: a part of the ttl, ms at most. */
const SETTLE_PART = 1 / 20;
const SETTLE_MS_MAX = 1_000;

export interface HeadPlaceOptions {
  readonly client: ReplicaClient;
  readonly clock: Clock;
}

interface CallOptions {
  readonly signal: AbortSignal | undefined;
}

export class HeadPlace {
  readonly #client: ReplicaClient;
  readonly mode: LeaseMode;
  #document: HeadDocument;
  #version: ObjectVersion;
  /** Of what our last document replaced; null before there is any. */
  #staleVersion: ObjectVersion | null = null;
  #renewals = 0;
  /** Whether a swap under a version that was gone has been refused. */
  #refusesStale = false;

  private constructor(client: ReplicaClient, mode: LeaseMode, held: StoredHead) {
    this.#client = client;
    this.mode = mode;
    this.#document = held.document;
    this.#version = held.version;
  }

  /**
   * @param replaces the version read, or null where there was no head
   * @throws PreconditionFailedError when another writer was quicker
   */
  static async take(
    { client, clock }: HeadPlaceOptions,
    document: HeadDocument,
    { replaces, mode, signal }: CallOptions & { replaces: ObjectVersion | null; mode: LeaseMode },
  ): Promise<HeadPlace> {
    if (mode === 'exclusive') {
      const condition = replaces === null ? { ifAbsent: true } : { ifMatch: replaces };
      const { version } = await client.put(HEAD_KEY, encodeHeadDocument(document), { ...condition, signal });
      return new HeadPlace(client, mode, { document, version });
    }
    const before = await readHead(client, { signal });
    if ((before?.version ?? null) !== replaces) throw takenMeanwhile(client);
    await client.put(HEAD_KEY, encodeHeadDocument(document), { signal });
    // Two that start at once have both read the same head. The later write stays, and both look which one that was.
    await clock.sleep(Math.min(document.ttlMs * SETTLE_PART, SETTLE_MS_MAX), { signal });
    const after = await readHead(client, { signal });
    if (after === null || !isSameHolding(after.document, document)) throw takenMeanwhile(client);
    return new HeadPlace(client, mode, after);
  }

  get document(): HeadDocument {
    return this.#document;
  }

  /** @throws PreconditionFailedError when the head is no longer ours; UnsupportedByStoreError when swaps are ignored */
  async renew(document: HeadDocument, options: CallOptions): Promise<void> {
    this.#renewals += 1;
    const isDue = this.mode === 'exclusive' && !this.#refusesStale && this.#renewals >= STALE_SWAP_AT_RENEWAL;
    if (isDue) await this.#trySwapStale(document, options);
    await this.replace(document, options);
  }

  /** @throws PreconditionFailedError when the head is no longer ours */
  async replace(document: HeadDocument, { signal }: CallOptions): Promise<void> {
    const bytes = encodeHeadDocument(document);
    if (this.mode === 'advisory') {
      this.#require(await readHead(this.#client, { signal }), { cause: undefined });
      this.#keep(document, (await this.#client.put(HEAD_KEY, bytes, { signal })).version);
      return;
    }
    for (let refusals = 0; ; ) {
      try {
        this.#keep(document, (await this.#client.put(HEAD_KEY, bytes, { ifMatch: this.#version, signal })).version);
        return;
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) throw error;
        refusals += 1;
        if (refusals >= REFUSALS_MAX) throw refusedWithoutReason(this.#client, error);
        // An earlier try of ours, given up without an answer, may be what stands there: then it is our old version now.
        this.#version = this.#require(await readHead(this.#client, { signal }), { cause: error }).version;
      }
    }
  }

  /**
   * Asks whether swaps are worth anything: this one names a version that is known to be gone. A store that ignores the
   * condition has written what the real swap, as worthless there, would have written a moment later: no risk is added.
   */
  async #trySwapStale(document: HeadDocument, { signal }: CallOptions): Promise<void> {
    const stale = this.#staleVersion;
    if (stale === null || stale === this.#version) return;
    try {
      await this.#client.put(HEAD_KEY, encodeHeadDocument(document), { ifMatch: stale, signal });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      this.#refusesStale = true;
      return;
    }
    throw new UnsupportedByStoreError(`${this.#client.url} replaces head.json although the condition does not hold`, {
      hint: 'Start again: a new generation begins then, without relying on conditions. Make sure that no second process replicates to this destination.',
      facts: { url: this.#client.url, generation: document.generation },
    });
  }

  #require(found: StoredHead | null, { cause }: { cause: Error | undefined }): StoredHead {
    if (found !== null && isSameHolding(found.document, this.#document)) return found;
    throw cause ?? takenMeanwhile(this.#client);
  }

  #keep(document: HeadDocument, version: ObjectVersion): void {
    this.#document = document;
    this.#staleVersion = this.#version;
    this.#version = version;
  }
}

/** Whether both are of one holding of the lease: a session may hold it more than once, with another in between. */
const isSameHolding = (a: HeadDocument, b: HeadDocument): boolean =>
  a.session === b.session && a.generation === b.generation && a.acquiredAt === b.acquiredAt;

const takenMeanwhile = (client: ReplicaClient): PreconditionFailedError =>
  new PreconditionFailedError(`head.json in ${client.url} was written by another writer`, {
    facts: { url: client.url },
  });

const refusedWithoutReason = (client: ReplicaClient, cause: Error): UnsupportedByStoreError =>
  new UnsupportedByStoreError(`${client.url} refuses to replace head.json although it is what the condition names`, {
    cause,
    hint: 'This store does not do conditional writes as it should: use another one, or a newer release of it.',
    facts: { url: client.url },
  });
