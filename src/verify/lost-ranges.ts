/** Which recovery points are lost with some objects: the recoverable ranges with them and without, compared. Pure. */
import { CorruptionError } from '../core/errors.ts';
import { type Micros, txOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { formatTimestamp } from '../layout/time.ts';
import type { ManifestFacts, StoreView } from '../restore/plan-types.ts';
import { type RecoverableRange, recoverableRanges } from '../restore/recoverable.ts';
import { type LostRange, NO_EFFECT } from './finding.ts';

export interface LostRangesOptions {
  readonly view: StoreView;
  readonly generation: GenerationName;
  readonly manifests: ReadonlyMap<string, ManifestFacts>;
  /** Objects and manifests that count as gone, by key. */
  readonly unusable: ReadonlyMap<string, Error>;
}

/**
 * What is lost of a line without `unusable`, beside what is lost already; null where the line cannot be walked at all.
 */
export function lostRanges({ view, generation, manifests, unusable }: LostRangesOptions): LostRange[] | null {
  try {
    const before = recoverableRanges(view, generation, { manifests });
    const after = recoverableRanges(view, generation, { manifests, unusable });
    return subtract(before, after).map((range) => ({ generation, ...range }));
  } catch (error) {
    if (error instanceof CorruptionError) return null;
    throw error;
  }
}

export type Lost = Omit<LostRange, 'generation'>;

/** Both ascending, without overlap. */
export function subtract(before: readonly RecoverableRange[], after: readonly RecoverableRange[]): Lost[] {
  const lost: Lost[] = [];
  for (const range of before) {
    let from: bigint = range.first;
    for (const rest of after) {
      if (rest.to.tx < from || rest.first > range.to.tx) continue;
      if (rest.first > from) lost.push(toLost(from, rest.first - 1n, after));
      from = rest.to.tx + 1n;
    }
    if (from <= range.to.tx) lost.push(toLost(from, range.to.tx, after));
  }
  return lost;
}

export function toLost(from: bigint, to: bigint, after: readonly RecoverableRange[]): Lost {
  let last: Micros | null = null;
  let next: Micros | null = null;
  for (const range of after) {
    if (range.to.tx < from) last = range.to.time;
    if (range.first > to && next === null) next = range.fromTime;
  }
  return { from: txOffset(from), to: txOffset(to), after: last, before: next };
}

const when = (word: string, time: Micros | null): string =>
  time === null || time === 0n ? '' : `, ${word} ${formatTimestamp(time)}`;

/** A sentence's end for people. */
export function describeLost(lost: readonly LostRange[]): string {
  if (lost.length === 0) return NO_EFFECT;
  const ranges = lost.map(({ from, to, after, before, generation }) => {
    const points = from === to ? `transaction ${from}` : `the transactions ${from} to ${to}`;
    return `${points} of the line of generation ${generation}${when('after', after)}${when('before', before)}`;
  });
  return `recovery to ${ranges.join('; to ')} is impossible; all other points are fine`;
}
