/**
 * The last position at which the local log and some stored line agree, as far as the names of the stored objects tell.
 * Pure. Design: "The last position at which both agree".
 *
 * Agreement is a prefix: the first end of an object that the local log should hold and does not is where the two part.
 * Ends older than the local log say nothing; without a single commit in common there is no agreement.
 */
import type { LocalEnds } from '../capture/local-log.ts';
import { CorruptionError } from '../core/errors.ts';
import type { Micros, Position, TxOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import { TIME_MIN } from '../layout/time.ts';
import { generationStart, walkGeneration } from '../layout/walk.ts';

/** One generation's own unbroken chain of objects. */
export interface StoredChain {
  readonly document: GenerationDocument;
  readonly objects: readonly LogObject[];
}

export interface PartingPoint {
  readonly generation: GenerationName;
  /** The last end that the local log is proven to share; null where none is. */
  readonly agreed: (Position & { readonly time: Micros }) | null;
  /** The object within which the two may part: it begins where all is still well. Null where the chain just ends. */
  readonly parting: LogObject | null;
  /** The line's time before `parting`. */
  readonly timeBefore: Micros;
}

/** The chains of all generations whose documents are there, ascending by number. Damaged ones are left out. */
export function storedChains(
  documents: ReadonlyMap<GenerationName, GenerationDocument>,
  objects: ReadonlyMap<GenerationName, readonly LogObject[]>,
): readonly StoredChain[] {
  const chains: StoredChain[] = [];
  // Names begin with eight digits: text order is the order of numbers, and a parent has a smaller one.
  for (const name of [...documents.keys()].sort()) {
    const document = documents.get(name);
    if (document === undefined) continue;
    chains.push({ document, objects: chainOf(document, objects.get(name) ?? []) });
  }
  return chains;
}

function chainOf(document: GenerationDocument, objects: readonly LogObject[]): readonly LogObject[] {
  try {
    const start = generationStart(document, objects);
    return start === null ? [] : walkGeneration(objects, start).chain.map(({ object }) => object);
  } catch (error) {
    // Two histories in one generation: nothing can branch off there.
    if (error instanceof CorruptionError) return [];
    throw error;
  }
}

/** What must be known of the local log: every end of an object, and every point at which a generation branched off. */
export function* wantedEnds(chains: readonly StoredChain[]): Generator<TxOffset, void, void> {
  for (const { document, objects } of chains) {
    if (document.parent !== null) yield document.parent.position.tx;
    for (const { last } of objects) yield last;
  }
}

/** Where each generation and the local log part, of those that the local log can have come from. */
export function findPartings(chains: readonly StoredChain[], local: LocalEnds): readonly PartingPoint[] {
  const found = new Map<GenerationName, PartingPoint>();
  for (const { document, objects } of chains) {
    const { parent, generation } = document;
    if (parent !== null && !leadsTo(found.get(parent.generation), parent.position, local)) continue;
    const timeBefore = parent === null ? TIME_MIN : timeUpTo(chains, parent.generation, parent.position.tx);
    found.set(generation, { generation, ...partingOf(objects, { local, timeBefore }) });
  }
  return [...found.values()];
}

/** Whether a child's history up to its parent point can be the local log's. */
function leadsTo(ancestor: PartingPoint | undefined, point: Position, local: LocalEnds): boolean {
  if (ancestor === undefined) return false;
  if (ancestor.parting !== null && ancestor.parting.last <= point.tx) return false;
  const crc = local.ends.get(point.tx);
  if (crc !== undefined) return crc === point.crc;
  return local.logStart === null || point.tx < local.logStart || local.isUnreadable(point.tx);
}

function partingOf(
  objects: readonly LogObject[],
  { local, timeBefore }: { local: LocalEnds; timeBefore: Micros },
): Omit<PartingPoint, 'generation'> {
  let agreed: PartingPoint['agreed'] = null;
  let time = timeBefore;
  for (const object of objects) {
    const { last, crc } = object;
    const held = local.ends.get(last);
    const isUnknown = local.logStart === null || last < local.logStart || local.isUnreadable(last);
    if (held !== crc && (held !== undefined || !isUnknown)) return { agreed, parting: object, timeBefore: time };
    if (held === crc) agreed = { tx: last, crc, time: object.time };
    time = object.time;
  }
  return { agreed, parting: null, timeBefore: time };
}

function timeUpTo(chains: readonly StoredChain[], generation: GenerationName, tx: TxOffset): Micros {
  const chain = chains.find(({ document }) => document.generation === generation);
  return chain?.objects.findLast(({ last }) => last <= tx)?.time ?? TIME_MIN;
}
