/** Everything that a plan needs to know of the store: the documents, and one listing. */
import { ConfigurationError, CorruptionError, ReplicateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { decodeFormatDocument, type FormatDocument } from '../layout/format-document.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../layout/generation-document.ts';
import { decodeHeadDocument } from '../layout/head-document.ts';
import { FORMAT_KEY, type GenerationName, GENERATIONS_PREFIX, generationKey, HEAD_KEY } from '../layout/keys.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import { readListing } from '../layout/listing.ts';
import { ObjectNotFoundError, readBody, type ReplicaClient } from '../replica/replica-client.ts';
import { concurrently } from './concurrently.ts';
import type { StoreView } from './plan-types.ts';

export interface ReadStoreOptions {
  readonly client: ReplicaClient;
  /** Requests at once. */
  readonly parallelism: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * An empty store is a view like any other: the planner says that there is no backup.
 *
 * @throws UnsupportedFormatError, CorruptionError for format.json and head.json; what the client throws
 */
export async function readStore(options: ReadStoreOptions): Promise<StoreView> {
  const { client, signal, log } = options;
  // The head before the listing: then whatever position it tells must be in the listing.
  const [format, headBytes] = await Promise.all([readFormat(options), readOrNull(HEAD_KEY, options)]);
  if (format !== null) checkKind(format, client.url);
  const head = headBytes === null ? null : decodeHeadDocument(headBytes);
  const listing = await readListing(client.list(GENERATIONS_PREFIX, { signal }));
  const { count, first } = listing.foreign;
  if (count > 0) log.info('the store holds objects that are not of this backup; they are ignored', { count, first });
  return { head, listing, ...(await readDocuments([...listing.generationDocuments], options)) };
}

/** Null where there is none: nothing was stored there, or not yet. @throws UnsupportedFormatError, CorruptionError */
export async function readFormat(options: Pick<ReadStoreOptions, 'client' | 'signal'>): Promise<FormatDocument | null> {
  const bytes = await readOrNull(FORMAT_KEY, options);
  return bytes && decodeFormatDocument(bytes);
}

function checkKind({ kind }: FormatDocument, url: string): void {
  if (kind === 'database') return;
  throw new ConfigurationError(`${url} is the backup of a whole server data directory, not of one database`, {
    hint: 'Give the URL of one database: it ends in replicas/<replica id>.',
    facts: { url },
  });
}

/** Those that are gone are in neither map. @throws what the client throws */
export async function readDocuments(
  generations: readonly GenerationName[],
  options: ReadStoreOptions,
): Promise<Pick<StoreView, 'documents' | 'badDocuments'>> {
  const documents = new Map<GenerationName, GenerationDocument>();
  const badDocuments = new Map<GenerationName, Error>();
  const read = async (generation: GenerationName): Promise<void> => {
    const key = generationKey(generation);
    const bytes = await readOrNull(key, options);
    // Gone since the listing: retention removes generations that nothing needs.
    if (bytes === null) return;
    try {
      documents.set(generation, decodeGenerationDocument(bytes, { key }));
    } catch (error) {
      if (!(error instanceof ReplicateError)) throw error;
      options.log.warn(`${key} cannot be read`, { reason: error.message });
      badDocuments.set(generation, error);
    }
  };
  await concurrently(generations, read, { limit: options.parallelism });
  return { documents, badDocuments };
}

/** Null where the key is proven absent. @throws CorruptionError when it is longer than any document */
export async function readOrNull(
  key: string,
  {
    client,
    signal,
    bytesMax = DOCUMENT_BYTES_MAX,
  }: Pick<ReadStoreOptions, 'client' | 'signal'> & { readonly bytesMax?: number },
): Promise<Uint8Array | null> {
  try {
    return await readBody(await client.get(key, { signal }), bytesMax);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return null;
    if (!(error instanceof RangeError)) throw error;
    throw new CorruptionError(`${key} is no document of ours: it has ${error.message}`, {
      cause: error,
      facts: { key },
    });
  }
}
