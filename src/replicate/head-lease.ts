/**
 * The lease on a database's backup: head.json, the only object that is ever overwritten, and only by compare-and-swap.
 *
 * Invariants: after `take` has resolved, this session is the head's; before anything is stored the lease is at most
 * ttl/2 old (`ensureFresh`); a swap that was lost ends the writer for good (FencedError).
 */
import type { Clock } from '../core/clock.ts';
import { FencedError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import {
  decodeHeadDocument,
  encodeHeadDocument,
  type HeadDocument,
  type HeadPosition,
} from '../layout/head-document.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import { HEAD_KEY } from '../layout/keys.ts';
import {
  ObjectNotFoundError,
  type ObjectVersion,
  PreconditionFailedError,
  readBody,
  type ReplicaClient,
} from '../replica/replica-client.ts';

export interface StoredHead {
  readonly document: HeadDocument;
  readonly version: ObjectVersion;
}

/** Null where the store proves that there is none. */
export async function readHead(
  client: ReplicaClient,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<StoredHead | null> {
  try {
    const object = await client.get(HEAD_KEY, { signal });
    const document = decodeHeadDocument(await readBody(object, DOCUMENT_BYTES_MAX));
    return { document, version: object.version };
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return null;
    throw error;
  }
}

export interface LeaseOptions {
  readonly client: ReplicaClient;
  readonly clock: Clock;
  readonly log: Log;
}

export class HeadLease {
  readonly #client: ReplicaClient;
  readonly #clock: Clock;
  readonly #log: Log;
  #document: HeadDocument;
  #version: ObjectVersion;
  #renewedAt: number;
  #renewing: Promise<void> | null = null;

  private constructor(options: LeaseOptions, held: { document: HeadDocument; version: ObjectVersion }) {
    this.#client = options.client;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#document = held.document;
    this.#version = held.version;
    this.#renewedAt = options.clock.monotonic();
  }

  /**
   * Puts `document` in the place of exactly what was read.
   *
   * @param replaces the version read, or null where there was no head
   * @throws PreconditionFailedError when another writer was quicker
   */
  static async take(
    options: LeaseOptions,
    document: HeadDocument,
    { replaces, signal }: { replaces: ObjectVersion | null; signal?: AbortSignal | undefined },
  ): Promise<HeadLease> {
    const version = await swap(options.client, document, { replaces, signal });
    return new HeadLease(options, { document, version });
  }

  get document(): HeadDocument {
    return this.#document;
  }

  /**
   * Renews the lease when its last renewal is older than ttl/2; to be awaited before each write.
   *
   * @param position the stored position now
   * @throws FencedError when another writer has taken the head
   */
  async ensureFresh(position: HeadPosition | null, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (this.#clock.monotonic() - this.#renewedAt < this.#document.ttlMs / 2) return;
    await this.renew(position, options);
  }

  /** Renews now; calls at the same time share one renewal. @throws FencedError as ensureFresh */
  async renew(position: HeadPosition | null, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    this.#renewing ??= this.#replace({ position, released: false }, options).finally(() => {
      this.#renewing = null;
    });
    await this.#renewing;
  }

  /** Hands over: the position is exact, and the same owner may go on in this generation. */
  async release(position: HeadPosition | null, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await this.#renewing;
    await this.#replace({ position, released: true }, options);
  }

  async #replace(
    change: Pick<HeadDocument, 'position' | 'released'>,
    { signal }: { signal?: AbortSignal | undefined },
  ): Promise<void> {
    const asked = this.#clock.monotonic();
    const document: HeadDocument = { ...this.#document, ...change, renewedAt: this.#clock.now() };
    try {
      this.#version = await swap(this.#client, document, { replaces: this.#version, signal });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      throw await this.#fenced(error, signal);
    }
    this.#document = document;
    this.#renewedAt = asked;
    this.#log.debug('lease renewed', { generation: document.generation, released: document.released });
  }

  async #fenced(cause: PreconditionFailedError, signal: AbortSignal | undefined): Promise<FencedError> {
    const winner = (await readHead(this.#client, { signal }))?.document;
    const who = winner
      ? `owner ${winner.owner} on ${winner.process.host} (process ${winner.process.pid}), in generation ${winner.generation}`
      : 'somebody who removed head.json';
    return new FencedError(`another writer has taken over the backup ${this.#client.url}: ${who}`, {
      cause,
      hint: 'Only one process may replicate to a destination. Stop the other one, then start this one again.',
      facts: { url: this.#client.url, generation: this.#document.generation },
    });
  }
}

async function swap(
  client: ReplicaClient,
  document: HeadDocument,
  { replaces, signal }: { replaces: ObjectVersion | null; signal: AbortSignal | undefined },
): Promise<ObjectVersion> {
  const condition = client.conditional !== 'full' ? {} : replaces === null ? { ifAbsent: true } : { ifMatch: replaces };
  const { version } = await client.put(HEAD_KEY, encodeHeadDocument(document), { ...condition, signal });
  return version;
}
