/**
 * What a writer must know of the store at its start, in few requests: head.json, the head's generation.json, and one
 * listing of that generation from the head's position on, which gives the log objects after it, higher levels and
 * snapshots. Only where head.json is missing is everything listed.
 */
import { CorruptionError } from '../core/errors.ts';
import { formatPosition, type Position, type TxOffset } from '../core/types.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../layout/generation-document.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import {
  GENERATIONS_PREFIX,
  type GenerationName,
  generationKey,
  generationPrefix,
  type LogObject,
  logKeysAfter,
  parseGenerationName,
  parseKey,
} from '../layout/keys.ts';
import { generationStart, walkGeneration } from '../layout/walk.ts';
import { ObjectNotFoundError, readBody, type ReplicaClient } from '../replica/replica-client.ts';
import { readHead, type StoredHead } from './head-lease.ts';

export interface StoredState {
  readonly head: StoredHead | null;
  /** The head's generation; without a head the highest-numbered one that holds something; null: nothing is stored. */
  readonly generation: GenerationDocument | null;
  /** The end of the unbroken chain of stored commits of the line; null while it holds none. */
  readonly position: HeadPosition | null;
  /** Stored ends of commits, ascending, the last one being `position`: each that this start has seen. */
  readonly ends: readonly Position[];
  /** Snapshots of that generation, ascending. */
  readonly snapshots: readonly TxOffset[];
  /** The highest number of a generation that was seen: a new one gets a higher one. */
  readonly lastNumber: number;
}

const NOTHING: StoredState = { head: null, generation: null, position: null, ends: [], snapshots: [], lastNumber: 0 };

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

export async function readStoredState(client: ReplicaClient, options: ReadOptions = {}): Promise<StoredState> {
  const head = await readHead(client, options);
  if (head === null) return readHeadlessState(client, options);
  const { generation: name, position } = head.document;
  const generation = await readGeneration(client, name, options);
  const startAfter = position ? { startAfter: logKeysAfter(name, { level: 0, ...position }) } : {};
  const listed = await listGenerations(client, generationPrefix(name), { ...options, ...startAfter });
  return stateOf({ head, generation, from: position, listed: listed.get(name) });
}

/** @throws CorruptionError when the document is not there although something names it */
export async function readGeneration(
  client: ReplicaClient,
  name: GenerationName,
  { signal }: ReadOptions = {},
): Promise<GenerationDocument> {
  const key = generationKey(name);
  try {
    return decodeGenerationDocument(await readBody(await client.get(key, { signal }), DOCUMENT_BYTES_MAX), { key });
  } catch (error) {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new CorruptionError(`${key} is missing in ${client.url}, although the backup names this generation`, {
      cause: error,
      hint: 'Restore this object from a copy or an older version of the bucket, or replicate to an empty prefix.',
      facts: { url: client.url, key },
    });
  }
}

async function readHeadlessState(client: ReplicaClient, options: ReadOptions): Promise<StoredState> {
  const listed = await listGenerations(client, GENERATIONS_PREFIX, options);
  const names = [...listed.keys()].sort((a, b) => numberOf(a) - numberOf(b) || (a < b ? -1 : 1));
  const name = names.findLast((candidate) => holdsSomething(listed.get(candidate))) ?? names.at(-1);
  if (name === undefined) return NOTHING;
  const generation = await readGeneration(client, name, options);
  const lastNumber = numberOf(names.at(-1) as GenerationName);
  const state = { ...stateOf({ head: null, generation, from: null, listed: listed.get(name) }), lastNumber };
  if (state.position !== null) return state;
  const position = await findBranch(client, generation, { ...options, listed });
  return position === null ? state : { ...state, position, ends: [position] };
}

/** Where a generation without log objects of its own branched off; null where its line has none. */
async function findBranch(
  client: ReplicaClient,
  generation: GenerationDocument,
  { listed, ...options }: ReadOptions & { listed: ReadonlyMap<GenerationName, Listed> },
): Promise<HeadPosition | null> {
  for (let { parent } = generation; parent !== null; ) {
    const ancestor = await readGeneration(client, parent.generation, options);
    const objects = listed.get(parent.generation)?.objects ?? [];
    const start = generationStart(ancestor, objects);
    const walk = start && walkGeneration(objects, start, { until: parent.position });
    if (walk?.reached !== 'until') {
      throw new CorruptionError(
        `${parent.generation} in ${client.url} does not reach ${formatPosition(parent.position)}`,
        {
          hint: 'Log objects are missing: restore them from a copy, or replicate to an empty prefix.',
          facts: { url: client.url, generation: parent.generation, tx: parent.position.tx },
        },
      );
    }
    if (walk.end !== null) return { ...parent.position, segment: walk.end.segment, time: walk.end.time };
    parent = ancestor.parent;
  }
  return null;
}

const numberOf = (name: GenerationName): number => parseGenerationName(name)?.number ?? 0;

interface Listed {
  readonly objects: LogObject[];
  readonly snapshots: TxOffset[];
}

const holdsSomething = (listed: Listed | undefined): boolean =>
  listed !== undefined && listed.objects.length + listed.snapshots.length > 0;

async function listGenerations(
  client: ReplicaClient,
  prefix: string,
  options: ReadOptions & { startAfter?: string },
): Promise<Map<GenerationName, Listed>> {
  const generations = new Map<GenerationName, Listed>();
  for await (const { key, size } of client.list(prefix, options)) {
    const parsed = parseKey(key);
    if (parsed?.kind !== 'log' && parsed?.kind !== 'manifest' && parsed?.kind !== 'generation') continue;
    const name = parsed.kind === 'log' ? parsed.name.generation : parsed.generation;
    const listed = generations.get(name) ?? { objects: [], snapshots: [] };
    generations.set(name, listed);
    if (parsed.kind === 'log') listed.objects.push({ ...parsed.name, key, size });
    if (parsed.kind === 'manifest') listed.snapshots.push(parsed.tx);
  }
  return generations;
}

function stateOf({
  head,
  generation,
  from,
  listed = { objects: [], snapshots: [] },
}: {
  head: StoredHead | null;
  generation: GenerationDocument;
  from: HeadPosition | null;
  listed: Listed | undefined;
}): StoredState {
  const { objects, snapshots } = listed;
  const start =
    from === null ? generationStart(generation, objects) : { next: (from.tx + 1n) as TxOffset, prev: from.crc };
  const chain = start === null ? [] : walkGeneration(objects, start).chain;
  const walked = chain.map(
    ({ object }): HeadPosition => ({
      tx: object.last,
      crc: object.crc,
      segment: object.segment,
      time: object.time,
    }),
  );
  const chained = from === null ? walked : [from, ...walked];
  const position = chained.at(-1) ?? null;
  const ends = position === null ? [] : [...knownBefore(position, { generation, objects, chained }), position];
  const lastNumber = numberOf(generation.generation);
  return { head, generation, position, ends, snapshots, lastNumber };
}

/** Ascending: all else that is known of the line without a further request. Of higher levels the listing shows all objects. */
function knownBefore(
  { tx: last }: Position,
  {
    generation,
    objects,
    chained,
  }: Pick<Listed, 'objects'> & { generation: GenerationDocument; chained: readonly Position[] },
): readonly Position[] {
  const parent = generation.parent === null ? [] : [generation.parent.position];
  const listed = objects.map((object): Position => ({ tx: object.last, crc: object.crc }));
  const known = [...parent, ...chained, ...listed].filter(({ tx }) => tx < last);
  const byName = new Map(known.map(({ tx, crc }) => [`${tx} ${crc}`, { tx, crc }]));
  return [...byName.values()].sort((a, b) => (a.tx < b.tx ? -1 : a.tx > b.tx ? 1 : 0));
}
