/** Which log objects go with a start, a snapshot or offset 0, and whether they lead to the end of the line. Pure. */
import { CorruptionError } from '../core/errors.ts';
import { formatPosition, type Micros, micros, type Position, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import type { WalkEnd } from '../layout/walk.ts';
import { type LineHole, type LineStep, walkLine } from '../layout/walk-line.ts';
import type { LogPiece, ManifestFacts, PlannedSegment } from './plan-types.ts';

export interface LineLog {
  readonly line: readonly LinePart[];
  readonly objects: ReadonlyMap<GenerationName, readonly LogObject[]>;
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
}

export interface FoundLog {
  readonly segments: readonly PlannedSegment[];
  readonly commitFromManifest: boolean;
  readonly end: Pick<WalkEnd, 'tx' | 'crc' | 'time'>;
  readonly timeBefore: Micros | null;
}

/** Why a start leads nowhere, to be read after "… cannot be used: ". */
export interface NoLog {
  readonly why: string;
  /** Null where nothing is missing: the log just does not begin early enough. */
  readonly hole: LineHole | null;
  /** Where the log ends all the same; null where it holds nothing. */
  readonly end: Position | null;
}

/** How many beginnings of one segment are tried before the one that holds the snapshot's commit is good enough. */
const BEGINNINGS_MAX = 8;

/** The whole log, from offset 0. */
export function logFromZero(log: LineLog): FoundLog | NoLog {
  const { steps, end, hole } = walkLine(log.line, { ...log, from: txOffset(0n) });
  if (hole !== null) return { why: describeHole(hole), hole, end };
  const [first] = steps;
  if (end === null || first === undefined) return { why: 'it holds no commit', hole, end };
  if (first.object.first !== 0n) return { why: `it begins at transaction ${first.object.first}`, hole, end };
  return found(steps, end, { commitFromManifest: false, timeBefore: timeBefore(steps, log) });
}

/** The log that a snapshot at `tx` needs: from the segment that holds its commit, or from its manifest's copy of that. */
export function logForSnapshot(tx: TxOffset, { commit, header }: ManifestFacts, log: LineLog): FoundLog | NoLog {
  const walk = walkLine(log.line, { ...log, from: tx });
  const [first] = walk.steps;
  if (walk.hole === null && walk.end !== null && first !== undefined && first.object.first <= tx) {
    const steps = wholeSegment(walk.steps, log);
    return found(steps, walk.end, { commitFromManifest: false, timeBefore: timeBefore(steps, log) });
  }
  const own = commit === null ? tx : commit.position.tx;
  if (own === U64_MAX) return { why: 'no transaction can follow it', hole: null, end: null };
  const next = txOffset(own + 1n);
  const after = walkLine(log.line, { ...log, from: next });
  if (after.hole !== null) return { ...after, why: describeHole(after.hole) };
  const [follower] = after.steps;
  if (follower !== undefined && !follows(follower.object, next, commit?.position ?? null)) {
    return { ...after, why: `the log goes on at transaction ${follower.object.first} only` };
  }
  const commitFromManifest = commit !== null;
  if (after.end !== null && follower !== undefined) {
    // The manifest's time may be less than the line's there: the names tell that.
    return found(after.steps, after.end, { commitFromManifest, timeBefore: timeBefore(after.steps, log) });
  }
  // A snapshot that the log does not reach is ignored by a server: its commit must be there.
  if (commit === null) return { ...after, why: 'the log does not hold its commit, nor what follows' };
  return found([], { ...commit.position, time: header.time }, { commitFromManifest, timeBefore: header.time });
}

/** Whether the log that begins with `object` is the continuation of `commit`, behind which `next` comes. */
export const follows = (object: LogObject, next: TxOffset, commit: Position | null): boolean =>
  // A parentless generation that begins right after the snapshot knows nothing of the commit before.
  object.first === next && (commit === null || object.prev === commit.crc || object.prev === 0);

/** The same walk, begun as early in the first segment as the log allows. */
function wholeSegment(steps: readonly LineStep[], log: LineLog): readonly LineStep[] {
  const first = steps[0]?.object;
  if (first === undefined) return steps;
  // One that goes on beyond is cut there: a child branched off within it, or a longer object covers a shorter one.
  const earlier = (object: LogObject): boolean => object.segment === first.segment && object.first < first.first;
  const objects = new Map(
    log.line.map(({ generation }) => [generation, (log.objects.get(generation) ?? []).filter(earlier)]),
  );
  const beginnings = new Set([...objects.values()].flatMap((some) => some.map((object) => object.first)));
  const ascending = [...beginnings].sort((a, b) => (a < b ? -1 : 1));
  for (const from of ascending.slice(0, BEGINNINGS_MAX)) {
    const line = cutLine(log.line, { tx: txOffset(first.first - 1n), crc: first.prev });
    const walk = walkLine(line, { ...log, objects, from });
    const begin = walk.steps[0]?.object;
    const joins = walk.hole === null && walk.end?.tx === first.first - 1n && walk.end.crc === first.prev;
    if (joins && begin?.first === from) return [...walk.steps, ...steps];
  }
  return steps;
}

/** Generations that begin behind the target hold no commit that is wanted. @throws CorruptionError of another history */
export function cutLine(line: readonly LinePart[], target: Position): readonly LinePart[] {
  const parts: LinePart[] = [];
  for (const { generation, until } of line) {
    if (until !== null && until.tx < target.tx) {
      parts.push({ generation, until });
      continue;
    }
    if (until !== null && until.tx === target.tx && until.crc !== target.crc) {
      throw new CorruptionError(
        `the line has another commit at ${until.tx}, where ${generation} ends, than ${formatPosition(target)}`,
        { facts: { generation, tx: target.tx } },
      );
    }
    parts.push({ generation, until: { tx: target.tx, crc: target.crc } });
    break;
  }
  return parts;
}

/** What the object before the first one says; the line's own minimum where there is none before; else unknown. */
function timeBefore(steps: readonly LineStep[], log: LineLog): Micros | null {
  const first = steps[0]?.object;
  if (first === undefined) return null;
  if (first.first === 0n) return micros(0n);
  for (const { generation } of log.line) {
    for (const object of log.objects.get(generation) ?? []) {
      if (object.last + 1n === first.first && object.crc === first.prev) return object.time;
    }
  }
  return null;
}

function found(
  steps: readonly LineStep[],
  end: FoundLog['end'],
  rest: Pick<FoundLog, 'commitFromManifest' | 'timeBefore'>,
): FoundLog {
  const segments: { segment: TxOffset; pieces: LogPiece[] }[] = [];
  for (const { object, cut } of steps) {
    const last = segments.at(-1);
    if (last?.segment === object.segment) last.pieces.push({ object, cut });
    else segments.push({ segment: object.segment, pieces: [{ object, cut }] });
  }
  return { segments, end: { tx: end.tx, crc: end.crc, time: end.time }, ...rest };
}

function describeHole({ generation, after, until }: LineHole): string {
  const where = after === null ? 'from its beginning' : `after transaction ${after.tx}`;
  return `generation ${generation} misses log objects ${where}, up to transaction ${until.tx}`;
}
