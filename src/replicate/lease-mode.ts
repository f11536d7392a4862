/**
 * Whether a store can guard head.json. It is found out where a generation begins, since many stores that speak S3 ignore
 * conditions without a word, and nobody knows which ones until it is too late.
 *
 * Invariant: nothing is destroyed by asking. What is put is format.json with the very bytes that it has, or, where it
 * is absent, that it is to have. A refusal proves that conditions are honoured; a success proves that they are not.
 */
import { ConfigurationError } from '../core/errors.ts';
import { decodeFormatDocument, encodeFormatDocument, type FormatDocument } from '../layout/format-document.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import { FORMAT_KEY } from '../layout/keys.ts';
import {
  ObjectNotFoundError,
  type ObjectVersion,
  PreconditionFailedError,
  readBody,
  type ReplicaClient,
  UnsupportedByStoreError,
} from '../replica/replica-client.ts';

/**
 * `exclusive`: head.json changes by compare-and-swap alone. `advisory`: the store has no such thing; then every start is
 * a new generation, and a writer that was replaced learns it by reading.
 */
export type LeaseMode = 'exclusive' | 'advisory';

/**
 * How often a condition must be ignored before that is believed: where the first answer was lost, a client that tries
 * again takes the refusal of its second try for a success, because the bytes are equal.
 */
const IGNORED_TIMES = 3;

export interface LeaseModeOptions {
  readonly kind: FormatDocument['kind'];
  /**
   * The version of a head.json of this kind that was just read: such a backup has been begun, so that format.json need
   * not be read. And no other object has that version: a swap of format.json under it must be refused, which asks about
   * swaps themselves. One request instead of two or three.
   */
  readonly head?: ObjectVersion | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes sure that format.json is there and says `kind`, and finds out what conditions are worth.
 *
 * @throws ConfigurationError when it is of the other kind; UnsupportedFormatError, CorruptionError; store errors
 */
export async function findLeaseMode(client: ReplicaClient, options: LeaseModeOptions): Promise<LeaseMode> {
  const { head = null, kind, signal } = options;
  if (head !== null && client.conditional === 'full') {
    return probe(client, encodeFormatDocument({ kind }), { ifMatch: head, signal });
  }
  let bytes = await readFormat(client, options);
  if (bytes === null) {
    bytes = encodeFormatDocument({ kind });
    if ((await create(client, bytes, signal)) === 'refused') {
      await readFormat(client, options);
      return client.conditional === 'full' ? 'exclusive' : 'advisory';
    }
  }
  return client.conditional === 'full' ? probe(client, bytes, { ifAbsent: true, signal }) : 'advisory';
}

type Condition = { readonly ifAbsent: true } | { readonly ifMatch: ObjectVersion };

/** Asks for what an honest store must refuse. */
async function probe(
  client: ReplicaClient,
  bytes: Uint8Array,
  condition: Condition & { readonly signal: AbortSignal | undefined },
): Promise<LeaseMode> {
  for (let ignored = 0; ignored < IGNORED_TIMES; ignored += 1) {
    try {
      await client.put(FORMAT_KEY, bytes, condition);
    } catch (error) {
      if (error instanceof PreconditionFailedError) return 'exclusive';
      // Some stores answer "not implemented" to a condition instead of ignoring it.
      if (error instanceof UnsupportedByStoreError) return 'advisory';
      throw error;
    }
  }
  return 'advisory';
}

/** Creates format.json, unconditionally where the store refuses to hear of conditions. */
async function create(
  client: ReplicaClient,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<'created' | 'refused'> {
  if (client.conditional !== 'none') {
    try {
      await client.put(FORMAT_KEY, bytes, { ifAbsent: true, signal });
      return 'created';
    } catch (error) {
      if (error instanceof PreconditionFailedError) return 'refused';
      if (!(error instanceof UnsupportedByStoreError)) throw error;
    }
  }
  await client.put(FORMAT_KEY, bytes, { signal });
  return 'created';
}

/** Its bytes, null where it is absent. @throws ConfigurationError when it is of another kind */
async function readFormat(
  client: ReplicaClient,
  { kind, signal }: Pick<LeaseModeOptions, 'kind' | 'signal'>,
): Promise<Uint8Array | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readBody(await client.get(FORMAT_KEY, { signal }), DOCUMENT_BYTES_MAX);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return null;
    throw error;
  }
  const stored = decodeFormatDocument(bytes).kind;
  if (stored === kind) return bytes;
  const isServer = stored === 'server';
  throw new ConfigurationError(
    `${client.url} holds the backup of ${isServer ? 'a whole server data directory' : 'a single database'}`,
    {
      hint: `Replicate ${isServer ? 'a single database' : 'a whole server data directory'} to a prefix of its own.`,
      facts: { url: client.url },
    },
  );
}
