/** The generations of a backup, as people look at them: one row each. Pure: documents and names, nothing of the log. */
import { CorruptionError } from '../core/errors.ts';
import type { Micros, TxOffset } from '../core/types.ts';
import type { GenerationDocument, GenerationReason, ParentPoint } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import { chooseGeneration, type LinePart, lineOf } from '../layout/line.ts';
import { generationStart, walkGeneration } from '../layout/walk.ts';
import type { StoreView } from '../restore/plan-types.ts';

/** The end of a commit or of an image, as a name tells it. */
export interface NamedPoint {
  readonly tx: TxOffset;
  /** The line's time there. */
  readonly time: Micros;
}

export interface GenerationRow {
  readonly generation: GenerationName;
  /** Null, with all that it tells, where generation.json is missing or damaged. */
  readonly reason: GenerationReason | null;
  readonly parent: ParentPoint | null;
  readonly createdAt: Micros | null;
  readonly writer: GenerationDocument['writer'] | null;
  readonly databaseIdentity: string | null;
  /** The first transaction in a log object of its own; null where it has none. */
  readonly first: TxOffset | null;
  /** The end of the first of these objects: names tell of an object's last commit only. */
  readonly firstEnd: NamedPoint | null;
  /** The end of its own unbroken chain; where that cannot be followed, of the object that reaches furthest. */
  readonly last: NamedPoint | null;
  readonly logObjects: number;
  /** Stored, of all levels; without snapshots, whose packs all generations share. */
  readonly logBytes: number;
  readonly snapshots: number;
  /** head: the one that is written. line: older, and its commits up to `until` belong to the head's line. */
  readonly place: 'head' | 'line' | 'other';
  /** The last transaction of it that belongs to the head's line; null for all, and outside of that line. */
  readonly until: TxOffset | null;
  /** What is wrong with it, as far as documents and names tell; a sentence without its full stop. */
  readonly problem: string | null;
}

/** Ascending: every generation that any key names. */
export function describeGenerations(view: StoreView): readonly GenerationRow[] {
  const { head, listing } = view;
  const end = chooseGeneration(head, listing.generations);
  const line = end === null ? [] : lineOrNothing(end, view);
  return listing.generations.map(({ generation }) => {
    const part = line.find((one) => one.generation === generation);
    const place = generation === end ? 'head' : part ? 'line' : 'other';
    return { ...describe(generation, view), place, until: part?.until?.tx ?? null };
  });
}

/** That the head's line cannot be followed is said of the generation where it breaks. */
function lineOrNothing(end: GenerationName, { documents }: StoreView): readonly LinePart[] {
  try {
    return lineOf(end, documents);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return [{ generation: end, until: null }];
  }
}

function describe(generation: GenerationName, view: StoreView): Omit<GenerationRow, 'place' | 'until'> {
  const document = view.documents.get(generation) ?? null;
  const objects = view.listing.logObjects.get(generation) ?? [];
  const begin = objects.reduce<LogObject | null>(
    (best, next) => (best && best.first <= next.first ? best : next),
    null,
  );
  const { last, problem } = endOf(objects, document);
  return {
    generation,
    reason: document?.reason ?? null,
    parent: document?.parent ?? null,
    createdAt: document?.createdAt ?? null,
    writer: document?.writer ?? null,
    databaseIdentity: document?.databaseIdentity ?? null,
    first: begin?.first ?? null,
    firstEnd: begin && { tx: begin.last, time: begin.time },
    last,
    logObjects: objects.length,
    logBytes: objects.reduce((bytes, { size }) => bytes + size, 0),
    snapshots: view.listing.manifests.get(generation)?.length ?? 0,
    problem: documentProblem(generation, view) ?? problem,
  };
}

function documentProblem(generation: GenerationName, { documents, badDocuments }: StoreView): string | null {
  const bad = badDocuments.get(generation);
  if (bad !== undefined) return bad.message;
  const document = documents.get(generation);
  if (document === undefined) return 'its generation.json is missing';
  const { parent } = document;
  return parent === null || documents.has(parent.generation)
    ? null
    : `its parent ${parent.generation} is missing or damaged`;
}

function endOf(
  objects: readonly LogObject[],
  document: GenerationDocument | null,
): Pick<GenerationRow, 'last' | 'problem'> {
  const furthest = objects.reduce<LogObject | null>(
    (best, next) => (best && best.last >= next.last ? best : next),
    null,
  );
  const latest = furthest && { tx: furthest.last, time: furthest.time };
  try {
    const start = document && generationStart(document, objects);
    if (start === null) return { last: latest, problem: null };
    const { end } = walkGeneration(objects, start);
    if (end === null) {
      return { last: latest, problem: latest && 'no log object goes on where it begins' };
    }
    const isWhole = latest === null || latest.tx <= end.tx;
    return {
      last: { tx: end.tx, time: end.time },
      problem: isWhole
        ? null
        : `nothing goes on behind transaction ${end.tx}, and there are objects up to ${latest.tx}`,
    };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return { last: latest, problem: error.message };
  }
}
