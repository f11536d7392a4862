/** What is known of a server's own files in a store, beside its databases: from one listing and a few documents. */
import { ConfigurationError } from '../../core/errors.ts';
import type { GenerationDocument } from '../../layout/generation-document.ts';
import { decodeHeadDocument, type HeadDocument } from '../../layout/head-document.ts';
import { GENERATIONS_PREFIX, type GenerationName, HEAD_KEY, parseKey } from '../../layout/keys.ts';
import {
  type ImageNameParts,
  parseRootKey,
  parseServerKey,
  REPLICAS_PREFIX,
  SERVER_PREFIX,
} from '../../layout/server-keys.ts';
import { readDocuments, readFormat, readOrNull, type ReadStoreOptions } from '../read-store.ts';

/** An image whose manifest is there. */
export interface ListedImage {
  readonly generation: GenerationName;
  readonly image: ImageNameParts;
  /** Of its manifest, relative to `server/`. */
  readonly key: string;
}

export interface ServerView {
  readonly head: HeadDocument | null;
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
  readonly badDocuments: ReadonlyMap<GenerationName, Error>;
  /** Every generation that any key names, ascending. */
  readonly generations: readonly GenerationName[];
  /** Ascending by time. */
  readonly images: ReadonlyMap<GenerationName, readonly ListedImage[]>;
  /** Stored bytes of images' files, by key. */
  readonly files: ReadonlyMap<string, number>;
}

/** A client of a destination's root. */
export type RootOptions = Pick<ReadStoreOptions, 'client' | 'signal'>;

/**
 * What kind of backup lies at a destination; null where nothing says that it is a server's. That format.json is lost does
 * not make a server's backup an empty place.
 *
 * @throws UnsupportedFormatError, CorruptionError, and what the client throws
 */
export async function readKind(options: RootOptions): Promise<'database' | 'server' | null> {
  const format = await readFormat(options);
  if (format !== null) return format.kind;
  for (const prefix of [SERVER_PREFIX, REPLICAS_PREFIX]) {
    for await (const _ of options.client.list(prefix, { signal: options.signal })) return 'server';
  }
  return null;
}

/** The first replica whose database holds a commit or a snapshot; null where none does. */
export async function findStoredReplica({ client, signal }: RootOptions): Promise<bigint | null> {
  for await (const { key } of client.list(REPLICAS_PREFIX, { signal })) {
    const root = parseRootKey(key);
    if (root?.kind !== 'replica') continue;
    const { kind } = parseKey(root.key) ?? {};
    if (kind === 'log' || kind === 'manifest') return root.replicaId;
  }
  return null;
}

/**
 * The first replica whose head tells of commits, to be asked where `findStoredReplica` finds none: then they are gone.
 *
 * @throws UnsupportedFormatError, CorruptionError for a head; what the client throws
 */
export async function findEmptiedReplica({ client, signal }: RootOptions): Promise<bigint | null> {
  for await (const { key } of client.list(REPLICAS_PREFIX, { signal })) {
    const root = parseRootKey(key);
    if (root?.kind !== 'replica' || parseKey(root.key)?.kind !== 'head') continue;
    const bytes = await readOrNull(key, { client, signal });
    if (bytes !== null && decodeHeadDocument(bytes).position !== null) return root.replicaId;
  }
  return null;
}

/**
 * @param options with a client whose keys are relative to `server/`
 * @throws UnsupportedFormatError, CorruptionError for head.json; what the client throws
 */
export async function readServerStore(options: ReadStoreOptions): Promise<ServerView> {
  const { client, signal, log } = options;
  const headBytes = await readOrNull(HEAD_KEY, options);
  const head = headBytes && decodeHeadDocument(headBytes);
  const generations = new Set<GenerationName>();
  const withDocument = new Set<GenerationName>();
  const images = new Map<GenerationName, ListedImage[]>();
  const files = new Map<string, number>();
  let foreign = 0;
  for await (const { key, size } of client.list(GENERATIONS_PREFIX, { signal })) {
    const parsed = parseServerKey(key);
    if (parsed?.kind === 'image-file') files.set(key, size);
    else if (parsed?.kind === 'generation') withDocument.add(parsed.generation);
    else if (parsed?.kind === 'image') {
      const { generation, image } = parsed;
      images.set(generation, [...(images.get(generation) ?? []), { generation, image, key }]);
    } else foreign += 1;
    if (parsed !== null && 'generation' in parsed) generations.add(parsed.generation);
  }
  if (foreign > 0)
    log.info('the store holds objects that are not of this backup; they are ignored', { count: foreign });
  const read = await readDocuments([...withDocument].sort(), options);
  return { head, ...read, generations: [...generations].sort(), images, files };
}

/** @throws ConfigurationError where the destination holds the backup of one database */
export function requireServer(kind: 'database' | 'server' | null, url: string): void {
  if (kind !== 'database') return;
  throw new ConfigurationError(`${url} is the backup of one database, not of a whole server data directory`, {
    hint: 'Name the directory of that database, or the URL of the whole server’s backup.',
    facts: { url },
  });
}
