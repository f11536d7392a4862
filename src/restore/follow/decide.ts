/**
 * What a standby does next: from its own position and what the line holds, names alone. Pure.
 *
 * Invariants: what is applied begins behind the position, on the head's line; nothing is applied that was not told to
 * follow the position's own checksum, by a name or, where the position lies within a longer object, by that object's
 * content (`FollowPiece.after`); a fork never becomes a piece.
 */
import { type Crc32c, type Position, samePosition, type TxOffset, txOffset, U64_MAX } from '../../core/types.ts';
import type { GenerationDocument } from '../../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../../layout/keys.ts';
import type { LinePart } from '../../layout/line.ts';
import { walkGeneration } from '../../layout/walk.ts';
import { walkLine } from '../../layout/walk-line.ts';
import type { LogPiece } from '../plan-types.ts';

/** A log object, and which of its commits are wanted. */
export interface FollowPiece extends LogPiece {
  /** The position lies within the object: commits up to here are there already, and one must end exactly here. */
  readonly after: Position | null;
}

export interface FollowInput {
  /** The head's. */
  readonly line: readonly LinePart[];
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
  /** Usable ones alone. */
  readonly objects: ReadonlyMap<GenerationName, readonly LogObject[]>;
  /** The standby's last commit. */
  readonly position: Position;
  /** What was looked up in the standby's own log: the checksum of the commit that ends there; null: none does. */
  readonly localEnds: ReadonlyMap<TxOffset, Crc32c | null>;
}

export type FollowDecision =
  | { readonly kind: 'apply'; readonly pieces: readonly FollowPiece[] }
  /** `behind`: the line agrees with the standby as far as it goes, and ends before the standby's position. */
  | { readonly kind: 'wait'; readonly behind: boolean }
  /** The checksum of the standby's own commit that ends here must be known first. */
  | { readonly kind: 'compare'; readonly tx: TxOffset }
  /** The line holds other commits than the standby; the last point that both have, as far as names tell. */
  | { readonly kind: 'fork'; readonly common: Position | null }
  /** Nothing holds the next commit, and the line goes on at `resumes`. */
  | { readonly kind: 'gap'; readonly resumes: TxOffset };

/** @throws CorruptionError as `walkGeneration` */
export function decideFollow(input: FollowInput): FollowDecision {
  const { line, position } = input;
  const index = line.findIndex(({ until }) => until === null || until.tx >= position.tx);
  const part = line[index];
  if (part === undefined || position.tx === U64_MAX) return { kind: 'wait', behind: false };
  const { until } = part;
  if (until?.tx === position.tx) {
    return samePosition(until, position) ? afterPart(index, input, []) : { kind: 'fork', common: pointBefore(input) };
  }
  return withinPart(part, index, input);
}

/** The position lies before the end of `part`, or behind all that it holds. */
function withinPart(part: LinePart, index: number, input: FollowInput): FollowDecision {
  const { position } = input;
  const objects = objectsOf(part, input);
  const until = part.until ?? undefined;
  const next = txOffset(position.tx + 1n);
  const exact = walkGeneration(objects, { next, prev: position.crc }, { until });
  if (exact.chain.length > 0) {
    const pieces = exact.chain.map((step): FollowPiece => ({ ...step, after: null }));
    return exact.reached === 'until' ? afterPart(index, input, pieces) : { kind: 'apply', pieces };
  }
  const [covering] = walkGeneration(objects, { covering: next }, { until }).chain;
  if (covering !== undefined) {
    if (covering.object.first <= position.tx) return { kind: 'apply', pieces: [{ ...covering, after: position }] };
    // A parentless generation that begins here says nothing of the commit before; any other has another one.
    return covering.object.prev === 0 ? { kind: 'gap', resumes: next } : { kind: 'fork', common: pointBefore(input) };
  }
  return withoutNext(objects, index, input);
}

/** No object of the position's part holds the next commit. */
function withoutNext(objects: readonly LogObject[], index: number, input: FollowInput): FollowDecision {
  const { position, line } = input;
  const atEnd = objects.filter(({ last }) => last === position.tx);
  if (atEnd.some(({ crc }) => crc !== position.crc)) return { kind: 'fork', common: pointBefore(input) };
  const resumes = firstBehind(line.slice(index), input);
  if (resumes !== null) return { kind: 'gap', resumes };
  if (atEnd.length > 0) return { kind: 'wait', behind: false };
  return behindTheLine(objects, input);
}

/** The line ends before the position: they may still be one history, of which the line lacks the end as yet. */
function behindTheLine(objects: readonly LogObject[], input: FollowInput): FollowDecision {
  const { line, localEnds, documents } = input;
  const common = pointBefore(input);
  let end: Position | null = common;
  for (const { last, crc } of objects) if (end === null || last > end.tx) end = { tx: last, crc };
  if (end === null) return { kind: 'wait', behind: true };
  const own = localEnds.get(end.tx);
  if (own === undefined) return { kind: 'compare', tx: end.tx };
  if (own !== end.crc) return { kind: 'fork', common: common !== null && end.tx > common.tx ? common : null };
  // Its writer found that what the generation before held beyond that point is gone, or another.
  const newest = documents.get(line.at(-1)?.generation as GenerationName);
  const isRolledBack = newest?.reason === 'rolled-back' && newest.parent?.position.tx === end.tx;
  return isRolledBack ? { kind: 'fork', common: end } : { kind: 'wait', behind: true };
}

/** What comes behind `line[index]`, whose end is the position, or is reached by `pieces`. */
function afterPart(index: number, input: FollowInput, pieces: readonly FollowPiece[]): FollowDecision {
  const rest = input.line.slice(index + 1);
  const { steps } = walkLine(rest, input);
  const all = [...pieces, ...steps.map(({ object, cut }): FollowPiece => ({ object, cut, after: null }))];
  if (all.length > 0) return { kind: 'apply', pieces: all };
  const resumes = firstBehind(rest, input);
  return resumes === null ? { kind: 'wait', behind: false } : { kind: 'gap', resumes };
}

/** Where the line goes on behind the position, without what lies in between. */
function firstBehind(parts: readonly LinePart[], input: FollowInput): TxOffset | null {
  let found: TxOffset | null = null;
  for (const part of parts) {
    for (const { first } of objectsOf(part, input)) {
      if (first > input.position.tx && (found === null || first < found)) found = first;
    }
  }
  return found;
}

/** What a stale writer stored beyond the parent point is of no line. */
function objectsOf({ generation, until }: LinePart, { objects }: FollowInput): readonly LogObject[] {
  const all = objects.get(generation) ?? [];
  return until === null ? all : all.filter(({ first }) => first <= until.tx);
}

/** The last parent point of the line before the position. */
const pointBefore = ({ line, position }: FollowInput): Position | null =>
  line.findLast(({ until }) => until !== null && until.tx < position.tx)?.until ?? null;
