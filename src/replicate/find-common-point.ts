/** Looks through the whole store for the last position that the local log shares with any stored line. */
import type { TailPosition } from '../capture/commit-run.ts';
import { locateTail, readLocalEnds } from '../capture/local-log.ts';
import type { LogSource } from '../capture/log-source.ts';
import { CorruptionError, errorMessage, UnsupportedFormatError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { mapAhead } from '../core/map-ahead.ts';
import type { Micros, Position } from '../core/types.ts';
import type { GenerationDocument, ParentPoint } from '../layout/generation-document.ts';
import { GENERATIONS_PREFIX, type GenerationName, parseGenerationName } from '../layout/keys.ts';
import { readListing } from '../layout/listing.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { findPartings, type PartingPoint, storedChains, wantedEnds } from './common-point.ts';
import { lastCommonCommit } from './compare-object.ts';
import { readGeneration } from './stored-state.ts';

const DOCUMENTS_AHEAD = 8;

export interface CommonPoint extends ParentPoint {
  /** Where reading the local log goes on behind it. */
  readonly tail: TailPosition;
  /** The line's time there. */
  readonly time: Micros;
}

export interface CommonPointSearch {
  /** Null where no stored line shares a single commit with the local log. */
  readonly point: CommonPoint | null;
  /** The highest number of any generation in the store. */
  readonly lastNumber: number;
}

export interface CommonPointOptions {
  readonly client: ReplicaClient;
  readonly source: LogSource;
  readonly log: Log;
  /** The generation whose line wins where two reach equally far; null: none does. */
  readonly preferred: GenerationName | null;
  readonly signal?: AbortSignal | undefined;
}

/** The furthest point wins, the preferred line on a tie. @throws store errors; LocalFileError, UnsupportedFormatError */
export async function findCommonPoint(options: CommonPointOptions): Promise<CommonPointSearch> {
  const { client, source, preferred, signal } = options;
  const { logObjects, generations, generationDocuments } = await readListing(
    client.list(GENERATIONS_PREFIX, { signal }),
  );
  const lastNumber = Math.max(0, ...generations.map(({ generation }) => parseGenerationName(generation)?.number ?? 0));
  const documents = await readDocuments([...generationDocuments], options);
  const chains = storedChains(documents, logObjects);
  const local = await readLocalEnds(source, wantedEnds(chains), { signal });
  const line = ancestry(preferred, documents);
  let best: Candidate | null = null;
  // The one that may reach furthest first, so that few objects must be read.
  const partings = [...findPartings(chains, local)].sort((a, b) => compareBound(b, a));
  for (const parting of partings) {
    const { agreed, generation } = parting;
    if (agreed !== null) best = better(best, { generation, ...agreed }, line);
  }
  for (const { generation, parting, timeBefore } of partings) {
    if (parting === null || (best !== null && parting.last <= best.tx)) continue;
    const end = await lastCommonCommit(parting, { ...options, timeBefore });
    if (end !== null) best = better(best, { generation, ...end }, line);
  }
  return { point: best === null ? null : await withTail(best, options), lastNumber };
}

interface Candidate extends Position {
  readonly generation: GenerationName;
  readonly time: Micros;
}

function better(best: Candidate | null, other: Candidate, line: ReadonlySet<GenerationName>): Candidate {
  if (best === null || other.tx > best.tx) return other;
  return other.tx === best.tx && line.has(other.generation) && !line.has(best.generation) ? other : best;
}

const boundOf = ({ agreed, parting }: PartingPoint): bigint => parting?.last ?? agreed?.tx ?? -1n;
const compareBound = (a: PartingPoint, b: PartingPoint): number => (boundOf(a) < boundOf(b) ? -1 : 1);

async function withTail(
  { generation, tx, crc, time }: Candidate,
  { source, signal }: CommonPointOptions,
): Promise<CommonPoint | null> {
  // The log may have changed since: then there is no such place, and the next look finds another.
  const tail = await locateTail(source, { tx, crc }, { time, signal });
  return tail && { generation, position: { tx, crc }, tail, time };
}

/** A generation and those before it. */
function ancestry(
  generation: GenerationName | null,
  documents: ReadonlyMap<GenerationName, GenerationDocument>,
): ReadonlySet<GenerationName> {
  const line = new Set<GenerationName>();
  for (let name = generation; name !== null && !line.has(name); ) {
    line.add(name);
    name = documents.get(name)?.parent?.generation ?? null;
  }
  return line;
}

/** One that cannot be read is left out: its line may be lost, and is none to branch from. */
async function readDocuments(
  names: readonly GenerationName[],
  { client, log, signal }: CommonPointOptions,
): Promise<ReadonlyMap<GenerationName, GenerationDocument>> {
  const read = async (name: GenerationName): Promise<GenerationDocument | null> => {
    try {
      return await readGeneration(client, name, { signal });
    } catch (error) {
      if (!(error instanceof CorruptionError) && !(error instanceof UnsupportedFormatError)) throw error;
      log.warn(`generation ${name} is left out of the search for a common point: ${errorMessage(error)}`);
      return null;
    }
  };
  const documents = new Map<GenerationName, GenerationDocument>();
  for await (const document of mapAhead(names, read, { ahead: DOCUMENTS_AHEAD, signal })) {
    if (document !== null) documents.set(document.generation, document);
  }
  return documents;
}
