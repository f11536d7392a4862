/** The objects that hold a line's commits, over all of its generations. Pure. */
import type { Position, TxOffset } from '../core/types.ts';
import type { GenerationDocument } from './generation-document.ts';
import type { GenerationName, LogObject } from './keys.ts';
import type { LinePart } from './line.ts';
import { generationStart, type Walk, type WalkEnd, type WalkStart, walkGeneration } from './walk.ts';

export interface LineStep {
  readonly object: LogObject;
  /** Commits that lie wholly before this transaction are not asked for; null when all are. */
  readonly from: TxOffset | null;
  /** Where the object must be cut, after comparing the checksum there. */
  readonly cut: Position | null;
}

/** The line's commits end where an object should go on and none does. */
export interface LineHole {
  /** Whose objects end too early. */
  readonly generation: GenerationName;
  /** The last commit before the hole; null when the first object is the one that is missing. */
  readonly after: Position | null;
  /** The point that this generation should have reached. */
  readonly until: Position;
}

export interface LineWalk {
  readonly steps: readonly LineStep[];
  /** Null when there is no object at all. */
  readonly end: WalkEnd | null;
  /** Null when the parts join without a gap. Behind a hole nothing is walked. */
  readonly hole: LineHole | null;
  /** Objects of the line's generations that no walk reaches. Not told (empty) with `from`. */
  readonly unreached: readonly LogObject[];
}

export interface WalkLineOptions {
  readonly objects: ReadonlyMap<GenerationName, readonly LogObject[]>;
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
  /** Only what is needed to have the commit that holds this transaction and all after it. */
  readonly from?: TxOffset | undefined;
}

function startOf(
  { generation }: LinePart,
  { documents, from }: WalkLineOptions,
  objects: readonly LogObject[],
): WalkStart | null {
  const document = documents.get(generation);
  const start = document ? generationStart(document, objects) : null;
  if (from === undefined || (start !== null && from <= start.next)) return start;
  return { covering: from };
}

/** With `from`, without what lies before it: of a long log that is most. */
function wantedOf(
  objects: readonly LogObject[],
  { from, until }: { readonly from: TxOffset | undefined; readonly until: Position | undefined },
): readonly LogObject[] {
  if (from === undefined || from === 0n) return objects;
  return objects.filter(({ first, last }) => last >= from && (until === undefined || first <= until.tx));
}

/** @throws CorruptionError as `walkGeneration`, and when a part's document is missing */
export function walkLine(parts: readonly LinePart[], options: WalkLineOptions): LineWalk {
  const { from } = options;
  const steps: LineStep[] = [];
  const unreached: LogObject[] = [];
  let end: WalkEnd | null = null;
  let begun = false;
  for (const part of parts) {
    const until = part.until ?? undefined;
    if (from !== undefined && until !== undefined && until.tx < from) continue;
    const objects = options.objects.get(part.generation) ?? [];
    const start = startOf(part, begun ? { ...options, from: undefined } : options, objects);
    const walk: Walk | null = start && walkGeneration(wantedOf(objects, { from, until }), start, { until });
    for (const { object, cut } of walk?.chain ?? []) {
      const isFirst = steps.length === 0 && from !== undefined && from > object.first;
      steps.push({ object, from: isFirst ? from : null, cut });
    }
    begun = true;
    // One by one: hundreds of thousands are too many for the arguments of one call.
    if (from === undefined) for (const object of walk ? walk.unreached : objects) unreached.push(object);
    end = joinEnds(end, walk?.end ?? null);
    if (until !== undefined && walk?.reached !== 'until') {
      const after = walk?.end ? { tx: walk.end.tx, crc: walk.end.crc } : null;
      return { steps, end, hole: { generation: part.generation, after, until }, unreached };
    }
  }
  return { steps, end, hole: null, unreached };
}

/** The end after one more part. Times never fall; a cut object's own is not known, but that of the line before is. */
function joinEnds(before: WalkEnd | null, after: WalkEnd | null): WalkEnd | null {
  if (before === null || after === null) return after ?? before;
  return before.time > after.time ? { ...after, time: before.time } : after;
}
