/**
 * What a writer of images must know of the store at its start: head.json, its generation.json, and a listing of that
 * generation's images. Names tell all: the hash in the newest one says whether another image is due. Only where
 * head.json is missing is everything listed.
 */
import type { GenerationDocument } from '../../layout/generation-document.ts';
import { GENERATIONS_PREFIX, type GenerationName, parseGenerationName } from '../../layout/keys.ts';
import { type ImageNameParts, imagesPrefix, parseServerKey } from '../../layout/server-keys.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import { readHead, type StoredHead } from '../head-lease-read.ts';
import { readGeneration } from '../stored-state.ts';

export interface StoredImages {
  readonly head: StoredHead | null;
  /** The head's generation; without a head the newest that holds an image, else the newest; null: nothing is stored. */
  readonly generation: GenerationDocument | null;
  /** The newest image of that generation; null while it has none of its own. */
  readonly newest: ImageNameParts | null;
  /** The greatest number of a generation that was seen; 0 for none. */
  readonly lastNumber: number;
}

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * @param client of `server/`
 * @throws CorruptionError, UnsupportedFormatError; store errors
 */
export async function readStoredImages(client: ReplicaClient, options: ReadOptions = {}): Promise<StoredImages> {
  const head = await readHead(client, options);
  const name = head?.document.generation;
  const listed = await listImages(client, name === undefined ? GENERATIONS_PREFIX : imagesPrefix(name), options);
  const chosen = name ?? newestGeneration(listed);
  if (chosen === undefined) return { head: null, generation: null, newest: null, lastNumber: 0 };
  const generation = await readGeneration(client, chosen, options);
  const lastNumber = Math.max(...[chosen, ...listed.keys()].map(numberOf));
  return { head, generation, newest: listed.get(chosen) ?? null, lastNumber };
}

const numberOf = (name: GenerationName): number => parseGenerationName(name)?.number ?? 0;

/** Names begin with eight digits: text order is the order of numbers. */
function newestGeneration(listed: ReadonlyMap<GenerationName, ImageNameParts | null>): GenerationName | undefined {
  const names = [...listed.keys()].sort();
  return names.findLast((name) => listed.get(name) !== null) ?? names.at(-1);
}

/** The newest complete image of each generation that a key names. */
async function listImages(
  client: ReplicaClient,
  prefix: string,
  options: ReadOptions,
): Promise<Map<GenerationName, ImageNameParts | null>> {
  const newest = new Map<GenerationName, ImageNameParts | null>();
  for await (const { key } of client.list(prefix, options)) {
    const parsed = parseServerKey(key);
    if (parsed === null || !('generation' in parsed)) continue;
    const before = newest.get(parsed.generation) ?? null;
    const isLater = parsed.kind === 'image' && (before === null || parsed.image.name > before.name);
    newest.set(parsed.generation, isLater ? parsed.image : before);
  }
  return newest;
}
