/** Failures of stored objects name the object and the place in it. */
import { CorruptionError, errorMessage } from '../core/errors.ts';

const HINT =
  'The store returned something else than was written, or it was damaged there. Look for another copy of this object, or an older version of it.';

/** The way out where no copy is left, for a document that a restore can do without. Begins with a blank. */
export function withoutIt(key: string): string {
  if (/(^|\/)head\.json$/.test(key))
    return ' Where there is none, move this object away: a restore then takes the newest generation.';
  return /(^|\/)format\.json$/.test(key)
    ? ' Where there is none, move this object away: a restore does without it.'
    : '';
}

/** `what` is said of the object: "ends early". */
export function corruptObject(key: string, what: string, cause?: unknown): CorruptionError {
  return new CorruptionError(`${key} ${what}`, { cause, facts: { key }, hint: `${HINT}${withoutIt(key)}` });
}

/** Runs `work`; a CorruptionError in it is told again with the object's key and the place in it. */
export async function inObject<T>(key: string, place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CorruptionError) || error.facts['key'] === key) throw error;
    throw corruptObject(key, `is damaged, ${place}: ${errorMessage(error)}`, error);
  }
}
