/** What an operator is told where a point cannot be restored: the nearest ones that can. */
import { CorruptionError, type ErrorDetails, UnrecoverablePointError } from '../core/errors.ts';
import type { Micros, TxOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { formatTimestamp } from '../layout/time.ts';
import type { StoreView } from './plan-types.ts';
import { type RecoverableOptions, type RecoverableRange, recoverableRanges } from './recoverable.ts';

export interface NearPoint {
  readonly tx: TxOffset;
  /** The line's time there; null where it is not known. */
  readonly time: Micros | null;
  /** The point is the end of the commit that holds `tx`: no name tells where that is, and a commit is never split. */
  readonly isWithin?: boolean;
}

export interface NearestPoints {
  readonly before: NearPoint | null;
  readonly after: NearPoint | null;
}

/** Around a transaction that no range holds, or whose own range is not to be believed. */
export function nearestPoints(ranges: readonly RecoverableRange[], tx: TxOffset): NearestPoints {
  const before = ranges.findLast(({ to }) => to.tx < tx);
  const after = ranges.find(({ first }) => first > tx);
  return { before: before ? before.to : null, after: after ? beginOf(after) : null };
}

/** A name tells of an object's last commit only: of most first ones it is known where they begin. */
export const beginOf = ({ first, from, fromTime }: RecoverableRange): NearPoint =>
  from === null ? { tx: first, time: null, isWithin: true } : { tx: from.tx, time: fromTime };

function formatPoint({ tx, time, isWithin = false }: NearPoint): string {
  if (isWithin) return `the end of the first commit from transaction ${tx} on`;
  return time === null || time === 0n ? `transaction ${tx}` : `transaction ${tx} of ${formatTimestamp(time)}`;
}

/** A sentence for a message. */
export function describeNearest({ before, after }: NearestPoints): string {
  if (before === null && after === null) return 'no point of this line can be restored';
  if (before === null) return `the first point that can be restored is ${formatPoint(after as NearPoint)}`;
  if (after === null) return `the last point that can be restored is ${formatPoint(before)}`;
  return `the nearest points that can be restored are ${formatPoint(before)} and ${formatPoint(after)}`;
}

function nearestFacts({ before, after }: NearestPoints): NonNullable<ErrorDetails['facts']> {
  return {
    ...(before === null ? {} : { nearestBefore: before.tx }),
    ...(after === null ? {} : after.isWithin === true ? { nearestAfterFrom: after.tx } : { nearestAfter: after.tx }),
  };
}

/** Nothing is damaged: there just is no such point. */
export const noSuchPoint = (
  why: string,
  nearest: NearestPoints,
  facts: ErrorDetails['facts'] = {},
): UnrecoverablePointError =>
  new UnrecoverablePointError(`${why}: ${describeNearest(nearest)}`, {
    hint: hintOf(nearest),
    facts: { ...facts, ...nearestFacts(nearest) },
  });

/** What would lead to the point is damaged or missing. */
export const pointInHole = (
  why: string,
  nearest: NearestPoints,
  { facts, cause }: Pick<ErrorDetails, 'facts' | 'cause'> = {},
): CorruptionError =>
  new CorruptionError(`${why}; ${describeNearest(nearest)}`, {
    hint: hintOf(nearest),
    facts: { ...facts, ...nearestFacts(nearest) },
    ...(cause === undefined ? {} : { cause }),
  });

function hintOf({ before, after }: NearestPoints): string {
  const choices = [before, after].flatMap((point) =>
    point === null || point.isWithin === true ? [] : [`-tx ${point.tx}`],
  );
  const shown = after?.isWithin === true ? '`stdb-replicate log` shows where the first commit behind ends.' : null;
  if (choices.length > 0) {
    const restore = `Restore with ${choices.join(' or ')}, or name another line with -generation.`;
    return shown === null ? restore : `${restore} ${shown}`;
  }
  return shown ?? 'Another generation may hold one: name it with -generation.';
}

/** A planner's failure to lead to `tx`, with what can be restored instead; any other error as it is. */
export function withNearest(
  error: unknown,
  { tx }: { readonly tx: TxOffset },
  context: { readonly view: StoreView; readonly generation: GenerationName } & RecoverableOptions,
): unknown {
  if (!(error instanceof CorruptionError || error instanceof UnrecoverablePointError)) return error;
  const nearest = nearestOrNone(tx, context);
  const details = {
    cause: error,
    hint: [hintOf(nearest), error.hint ?? ''].join(' ').trim(),
    facts: { ...error.facts, ...nearestFacts(nearest) },
  };
  const message = `${error.message}; ${describeNearest(nearest)}`;
  return error instanceof CorruptionError
    ? new CorruptionError(message, details)
    : new UnrecoverablePointError(message, details);
}

function nearestOrNone(
  tx: TxOffset,
  {
    view,
    generation,
    ...options
  }: { readonly view: StoreView; readonly generation: GenerationName } & RecoverableOptions,
): NearestPoints {
  try {
    return nearestPoints(recoverableRanges(view, generation, options), tx);
  } catch (error) {
    // Documents that cannot be read: nothing can be said of the line.
    if (!(error instanceof CorruptionError)) throw error;
    return { before: null, after: null };
  }
}
