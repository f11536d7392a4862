/** Lines that a restore does not take although they go on later than its target: an operator must hear of them. Pure. */
import { CorruptionError } from '../core/errors.ts';
import type { TimedPosition } from '../core/status.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import { generationStart, walkGeneration } from '../layout/walk.ts';
import type { AbandonedLine, StoreView } from './plan-types.ts';

/**
 * Ascending by generation; all lines without a target. Of a line of several generations only the last one is named.
 *
 * @param options.own the last generation of the line that is restored: what comes later in it is not abandoned
 */
export function findAbandonedLines(
  view: StoreView,
  target: TimedPosition | null,
  { own }: { readonly own?: GenerationName } = {},
): readonly AbandonedLine[] {
  const found = new Map<GenerationName, AbandonedLine>();
  for (const [generation, objects] of view.listing.logObjects) {
    // A walk is dear; most generations of a store end before the newest one does.
    if (generation === own || (target !== null && !objects.some(({ last }) => last > target.tx))) continue;
    const last = lastOf(generation, objects, view);
    if (last === null || (target !== null && last.tx <= target.tx)) continue;
    const databaseIdentity = view.documents.get(generation)?.databaseIdentity ?? null;
    found.set(generation, { generation, databaseIdentity, last });
  }
  for (const generation of found.keys()) {
    for (const ancestor of ancestorsOf(generation, view)) found.delete(ancestor);
  }
  return [...found.values()].sort((a, b) => (a.generation < b.generation ? -1 : 1));
}

/** The end of the generation's own chain; where that cannot be walked, the latest that its names tell. */
function lastOf(
  generation: GenerationName,
  objects: readonly LogObject[],
  { documents }: StoreView,
): TimedPosition | null {
  try {
    const document = documents.get(generation);
    const start = document ? generationStart(document, objects) : null;
    if (start !== null) return walkGeneration(objects, start).end;
  } catch (error) {
    // Damage in a line that is not restored is no reason not to restore the other one.
    if (!(error instanceof CorruptionError)) throw error;
  }
  const latest = objects.reduce<LogObject | null>((best, next) => (best && best.last >= next.last ? best : next), null);
  return latest && { tx: latest.last, crc: latest.crc, time: latest.time };
}

function* ancestorsOf(generation: GenerationName, { documents }: StoreView): Generator<GenerationName, void, void> {
  const seen = new Set([generation]);
  for (let parent = documents.get(generation)?.parent; parent; parent = documents.get(parent.generation)?.parent) {
    // A damaged store may name a generation as its own ancestor.
    if (seen.has(parent.generation)) return;
    seen.add(parent.generation);
    yield parent.generation;
  }
}
