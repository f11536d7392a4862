/**
 * The contract between the engines and any store. A store is a flat map from keys to immutable byte strings; only
 * `head.json` is ever overwritten. Keys are relative to the destination's prefix, use `/` between parts, and are made
 * and parsed in `layout/` alone.
 *
 * Every call takes an AbortSignal, has a deadline of the client's own, and fails with one of the errors below, or with
 * the signal's reason. Clients do not try again by themselves: `wrap/retrying.ts` does, for all of them alike.
 */
import { type ErrorDetails, EXIT, ReplicateError } from '../core/errors.ts';

/** Names one state of one object: ETag, or SHA-256 of the content. Equal versions mean equal bytes; opaque otherwise. */
export type ObjectVersion = string;

/** Bytes that can be produced again from the start, the same each time, for objects too long for memory. */
export interface StreamBody {
  open(): AsyncIterable<Uint8Array>;
}

/** A list is sent back to back. */
export type PutBody = Uint8Array | readonly Uint8Array[] | StreamBody;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface PutOptions extends CallOptions {
  /** Create only: PreconditionFailedError where the key exists. */
  readonly ifAbsent?: boolean;
  /** Replace exactly this version: PreconditionFailedError where it is another one, or gone. */
  readonly ifMatch?: ObjectVersion;
}

export interface PutAnswer {
  readonly version: ObjectVersion;
  /** How long the attempt took that succeeded, where the client knows: without the attempts before, and their waits. */
  readonly attemptMs?: number;
}

export interface ByteRange {
  readonly start: number;
  readonly endExclusive: number;
}

export interface GetOptions extends CallOptions {
  /** A part of the object; what lies beyond its end is left out. `start` at or beyond its end is a RangeError. */
  readonly range?: ByteRange;
  /** PreconditionFailedError when the object is no longer this version. */
  readonly ifMatch?: ObjectVersion;
}

export interface ObjectFacts {
  readonly version: ObjectVersion;
  /** Of the whole object, whatever the range. */
  readonly size: number;
}

export interface StoredObject extends ObjectFacts {
  /**
   * To be read once. Fails with UnavailableError when the connection breaks, stalls longer than the deadline, or ends
   * before all bytes came: never a silently shorter body. Leaving the loop early releases the connection; whoever does
   * not read it at all must call its iterator's `return`.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * True where nobody but the reader uses a chunk's memory once the chunk has been given: the reader may free it. A
   * buffer may still hold several chunks.
   */
  readonly givesChunksAway?: boolean | undefined;
}

export interface ListedObject {
  readonly key: string;
  readonly size: number;
}

export interface ListOptions extends CallOptions {
  /** Only keys after this one, in the listing's order. */
  readonly startAfter?: string;
}

export interface DeleteFailure {
  readonly key: string;
  readonly error: Error;
}

/**
 * full: ifAbsent and ifMatch are honoured, also among racing writers. create-only: ifAbsent alone. none: neither; then
 * a call that asks for one must fail with UnsupportedByStoreError before anything is sent.
 */
export type ConditionalPower = 'full' | 'create-only' | 'none';

export interface ReplicaClient extends AsyncDisposable {
  /** The destination, for people: no credentials in it. */
  readonly url: string;
  readonly conditional: ConditionalPower;

  /**
   * Stores `body` under `key`, whole or not at all, durably once it resolves. Idempotent for equal bytes. Without a
   * condition the last writer wins. When it rejects with UnavailableError the object may or may not be there.
   */
  put(key: string, body: PutBody, options?: PutOptions): Promise<PutAnswer>;

  /** @throws ObjectNotFoundError when the key is proven absent */
  get(key: string, options?: GetOptions): Promise<StoredObject>;

  /** @throws ObjectNotFoundError when the key is proven absent */
  head(key: string, options?: CallOptions): Promise<ObjectFacts>;

  /**
   * All keys that begin with `prefix` (a string, not a directory), each once, ascending by UTF-8 bytes. Objects that
   * come or go meanwhile may be seen or not. An empty listing is an answer, and proves that the bucket or root exists.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ListedObject>;

  /** Deletes each key; an absent one counts as deleted. Resolves with those that could not be deleted. */
  delete(keys: readonly string[], options?: CallOptions): Promise<readonly DeleteFailure[]>;

  /** Ends connections. Calls after it fail. May be called twice. */
  close(): Promise<void>;
}

/** Proven absence of one object, and nothing else. */
export class ObjectNotFoundError extends ReplicateError {
  readonly code = 'OBJECT_NOT_FOUND';
  readonly exitCode = EXIT.failure;
}

/** A condition did not hold. The store is unchanged by this call. */
export class PreconditionFailedError extends ReplicateError {
  readonly code = 'PRECONDITION_FAILED';
  readonly exitCode = EXIT.failure;
}

/** The store knows who we are, or refuses to, and says no. Trying again changes nothing until somebody allows it. */
export class UnauthorizedError extends ReplicateError {
  readonly code = 'UNAUTHORIZED';
  readonly exitCode = EXIT.failure;
}

/** The bucket, container or root directory is not there. Never "no backup": we do not create one. */
export class StoreNotFoundError extends ReplicateError {
  readonly code = 'STORE_NOT_FOUND';
  readonly exitCode = EXIT.usage;
}

export interface UnavailableDetails extends ErrorDetails {
  readonly answered?: boolean;
  readonly retryAfterMs?: number | null;
}

/** No answer, or "later": name resolution, refused, reset, deadline, 5xx, throttled. The same call may succeed. */
export class UnavailableError extends ReplicateError {
  readonly code = 'STORE_UNAVAILABLE';
  readonly exitCode = EXIT.storeUnreachable;
  /** Whether the store said so itself; otherwise it said nothing at all. */
  readonly answered: boolean;
  /** For how long the store asks to be left alone; null when it does not say. */
  readonly retryAfterMs: number | null;

  constructor(message: string, { answered = false, retryAfterMs = null, ...details }: UnavailableDetails = {}) {
    super(message, details);
    this.answered = answered;
    this.retryAfterMs = retryAfterMs;
  }

  override shouldRetry(): boolean {
    return true;
  }
}

/** The store cannot do what was asked: a condition it does not know, an object longer than it takes. */
export class UnsupportedByStoreError extends ReplicateError {
  readonly code = 'UNSUPPORTED_BY_STORE';
  readonly exitCode = EXIT.failure;
}

/** Reads a whole body. @throws RangeError when it is longer than `bytesMax`: sizes from a store are not trusted */
export async function readBody(object: StoredObject, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of object.body) {
    bytes += part.byteLength;
    if (bytes > bytesMax) throw new RangeError(`more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts, bytes);
}

/** Calls that are plain bytes, whatever their form, as chunks. */
export function openBody(body: PutBody): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (body instanceof Uint8Array) return [body];
  return 'open' in body ? body.open() : body;
}
