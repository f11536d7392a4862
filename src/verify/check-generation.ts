/**
 * The chain of one generation's objects, from names alone: where it has holes, what leads nowhere. Pure.
 *
 * What must be there is told by others: by the head, whose position was stored, and by the children, each of which
 * branched off at a commit that was proven to be stored.
 */
import { CorruptionError } from '../core/errors.ts';
import { formatPosition, type Position, samePosition, type TxOffset, txOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { LogObject } from '../layout/keys.ts';
import { generationStart, type WalkStart, walkGeneration } from '../layout/walk.ts';
import { type Finding, NO_EFFECT, REMEDY } from './finding.ts';

/** A position that was stored in this generation, and who says so. */
export interface KnownPosition {
  readonly position: Position;
  readonly by: string;
}

export interface CheckGenerationOptions {
  readonly document: GenerationDocument;
  readonly objects: readonly LogObject[];
  readonly known: readonly KnownPosition[];
  /** Whether there is a snapshot at one of these transactions. */
  readonly hasSnapshot: (first: bigint, last: bigint) => boolean;
}

/** As many objects as a writer uploads ahead of a chain: so many may be left behind a hole by a crash. */
const AHEAD_MAX = 8;

export interface Stretch {
  readonly start: WalkStart;
  readonly objects: readonly LogObject[];
  readonly end: Position;
}

export interface CheckedGeneration {
  readonly findings: readonly Finding[];
  /** Unbroken, ascending, with holes between them. */
  readonly stretches: readonly Stretch[];
}

export function checkGeneration(options: CheckGenerationOptions): CheckedGeneration {
  const { document, objects } = options;
  try {
    const start = generationStart(document, objects);
    const { stretches, unreachable } = walkStretches(objects, start);
    const findings = [
      ...beginningFindings(options, start, stretches),
      ...holeFindings(options, start, stretches),
      ...orderFindings(stretches),
      ...unreachable.map(leftover),
    ];
    return { findings, stretches };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const key = error.facts['key'];
    return { findings: [contradiction(typeof key === 'string' ? key : null, error.message)], stretches: [] };
  }
}

type NextStart = Extract<WalkStart, { readonly next: TxOffset }>;

/**
 * Walks on behind each hole, so that one hides no other. Each walk is given only what it might reach: a log that has lost
 * many of its objects would otherwise be walked whole for each of them.
 *
 * @throws CorruptionError for two histories
 */
function walkStretches(
  objects: readonly LogObject[],
  start: NextStart | null,
): { stretches: Stretch[]; unreachable: readonly LogObject[] } {
  const stretches: Stretch[] = [];
  const unreachable: LogObject[] = [];
  const all = objects.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  let at = 0;
  let near: LogObject[] = [];
  for (let from = start ?? startAt(all[0]); from !== null; from = startAt(near[0] ?? all[at])) {
    let furthest = near.reduce<bigint>((most, { last }) => (last > most ? last : most), from.next - 1n);
    for (let next = all[at]; next !== undefined && next.first <= furthest + 1n; next = all[at]) {
      near.push(next);
      if (next.last > furthest) furthest = next.last;
      at += 1;
    }
    const { end, unreached } = walkGeneration(near, from);
    if (end !== null) {
      const left = new Set(unreached);
      const own = near.filter((object) => !left.has(object));
      stretches.push({ start: from, objects: own, end: { tx: end.tx, crc: end.crc } });
    }
    const reach = end?.tx ?? from.next - 1n;
    for (const object of unreached) if (object.first <= reach) unreachable.push(object);
    near = unreached.filter(({ first }) => first > reach);
  }
  return { stretches, unreachable };
}

const startAt = (object: LogObject | undefined): NextStart | null =>
  object === undefined ? null : { next: object.first, prev: object.prev };

function beginningFindings(
  { document, objects, hasSnapshot }: CheckGenerationOptions,
  start: WalkStart | null,
  stretches: readonly Stretch[],
): Finding[] {
  const [first] = stretches;
  if (document.parent !== null || start !== null || first === undefined || objects.length === 0) return [];
  const oldest = first.objects[0];
  const begin = oldest?.first ?? txOffset(0n);
  const message = `the log of generation ${document.generation} begins at transaction ${begin}, within its history: what was stored before is gone`;
  // What a retention removes ends where a snapshot takes over, and leaves nothing before it.
  if (hasSnapshot(begin - 1n, oldest?.last ?? begin)) {
    const effect = 'points before the oldest snapshot cannot be restored; all others can';
    return [{ severity: 'note', kind: 'trimmed', key: null, message, effect, remedy: REMEDY.none }];
  }
  return [{ severity: 'damage', kind: 'hole', key: null, message, effect: '', remedy: REMEDY.otherCopy }];
}

function holeFindings(
  { document, known }: CheckGenerationOptions,
  start: WalkStart | null,
  stretches: readonly Stretch[],
): Finding[] {
  const findings: Finding[] = [];
  const { generation } = document;
  const required = known.reduce<KnownPosition | null>(
    (best, next) => (best === null || next.position.tx > best.position.tx ? next : best),
    null,
  );
  let reached = start !== null && 'next' in start ? start.next - 1n : null;
  for (const [index, { objects, end }] of stretches.entries()) {
    const first = objects[0]?.first ?? end.tx;
    if (reached !== null && first > reached + 1n) {
      const beyond = stretches.slice(index).reduce((sum, stretch) => sum + stretch.objects.length, 0);
      const isNeeded = (required !== null && required.position.tx > reached) || beyond > AHEAD_MAX;
      findings.push(hole({ generation, from: reached + 1n, to: first - 1n, isNeeded, beyond }));
    } else if (reached !== null && index > 0) {
      const key = objects[0]?.key ?? null;
      findings.push(contradiction(key, `${key} does not follow the commit that the objects before it end with`));
    }
    reached = end.tx;
  }
  const last = stretches.at(-1)?.end.tx ?? reached ?? -1n;
  if (required !== null && required.position.tx > last) {
    const { position, by } = required;
    const message = `log objects are missing at the end of generation ${generation}: transactions ${last + 1n} to ${position.tx}, stored as ${by} says`;
    findings.push({ severity: 'damage', kind: 'hole', key: null, message, effect: '', remedy: REMEDY.otherCopy });
  }
  for (const { position, by } of known) {
    const other = stretches.flatMap(({ objects }) => objects).find(({ last: tx }) => tx === position.tx);
    if (other === undefined || samePosition({ tx: other.last, crc: other.crc }, position)) continue;
    findings.push(
      contradiction(other.key, `${other.key} ends with another commit than ${by} says: ${formatPosition(position)}`),
    );
  }
  return findings;
}

interface Hole {
  readonly generation: string;
  readonly from: bigint;
  readonly to: bigint;
  readonly isNeeded: boolean;
  readonly beyond: number;
}

function hole({ generation, from, to, isNeeded, beyond }: Hole): Finding {
  const gone = from === to ? `transaction ${from}` : `transactions ${from} to ${to}`;
  const message = `log objects are missing in generation ${generation}: ${gone}`;
  if (isNeeded) {
    return { severity: 'damage', kind: 'hole', key: null, message, effect: '', remedy: REMEDY.otherCopy };
  }
  return {
    severity: 'note',
    kind: 'unreachable',
    key: null,
    message: `${message}, and ${beyond} objects lie behind them`,
    effect: `none that is known: uploads that were under way, or cut off by a crash, look like this`,
    remedy: 'Check again in a minute. If nothing writes there, and nothing crashed, objects were removed.',
  };
}

/** Where the chain passes to another source segment, that begins with the object. Times never fall. */
function* orderFindings(stretches: readonly Stretch[]): Generator<Finding, void, void> {
  for (const { objects } of stretches) {
    const ends = new Map<string, LogObject>();
    for (const object of objects) {
      const before = ends.get(`${object.first}`);
      if (before !== undefined && before.time > object.time) {
        yield misnamed(object.key, 'tells an earlier time than the object before it', 'damage');
      }
      if (before !== undefined && before.segment !== object.segment && object.segment !== object.first) {
        yield misnamed(object.key, 'names a segment that begins elsewhere', 'damage');
      }
      ends.set(`${object.last + 1n}`, object);
    }
  }
}

const misnamed = (key: string, what: string, severity: Finding['severity']): Finding => ({
  severity,
  kind: 'misnamed',
  key,
  message: `${key} ${what}: its name was changed`,
  effect: 'the content is restored all the same; points by time, and the files that it is written to, may be wrong',
  remedy: 'Give the object its name back; a store with versions or a log of requests tells it.',
});

const contradiction = (key: string | null, message: string): Finding => ({
  severity: 'damage',
  kind: 'contradiction',
  key,
  message,
  effect: '',
  remedy: 'Keep both histories. Restore to a point before, or another generation, and report this.',
});

const leftover = ({ key }: LogObject): Finding => ({
  severity: 'note',
  kind: 'unreachable',
  key,
  message: `${key} is reached by no walk of its generation`,
  effect: NO_EFFECT,
  remedy: 'It is a leftover of an upload that a crash cut off, or its name was changed.',
});
