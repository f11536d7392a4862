/**
 * Which of several destinations a restore takes: the one whose default line reaches furthest, provided that the others
 * hold the same history as far as they go. Pure: it asks for the checksums that the names do not tell.
 *
 * Two logs that hold the same commit at one offset hold the same before it. So each destination's end is compared with
 * what the chosen one has there; what the names tell of both besides must agree as well.
 *
 * Of whole servers every database counts: the chosen destination is ahead, or equal, in each of them. To take each
 * database from where it is furthest would make a server that never was.
 */
import type { Micros, Position, TxOffset } from '../../core/types.ts';

/** One database in one destination: its default line. */
export interface SourceLine {
  /** The last commit. */
  readonly end: Position;
  /** What names tell of the line's commits, the end included. */
  readonly known: readonly Position[];
}

export interface SourceFacts {
  /** For people. */
  readonly url: string;
  /** By a database's name within the destination; the backup of a single database has one, of any name. */
  readonly databases: ReadonlyMap<string, SourceLine>;
  /** Of a whole server: when its newest image was made. */
  readonly imageTime: Micros | null;
}

/** Whether a source holds a commit. */
export interface Comparison {
  /** The source that is looked into. */
  readonly source: number;
  readonly database: string;
  /** The last commit of a shorter line. */
  readonly wanted: Position;
}

/**
 * same, other: the commit there is, or is not, that of the shorter line. beyond: the line does not reach back that far,
 * so that there is no common offset.
 */
export type Verdict = 'same' | 'other' | 'beyond';

export type SourceChoice =
  | { readonly kind: 'chosen'; readonly source: number }
  /** The verdict on this comparison is needed first. */
  | { readonly kind: 'compare'; readonly comparison: Comparison }
  /** Two hold another commit at one offset. */
  | {
      readonly kind: 'disagree';
      readonly sources: readonly [number, number];
      readonly database: string;
      readonly tx: TxOffset;
    }
  /** None is ahead in all databases: these two are each ahead in one. */
  | {
      readonly kind: 'crossed';
      readonly sources: readonly [number, number];
      readonly databases: readonly [string, string];
    };

export const comparisonName = ({ source, database, wanted: { tx, crc } }: Comparison): string =>
  `${source} ${database} ${tx} ${crc}`;

/**
 * @param sources one at least, each with a database at least; of equals the first is taken
 * @param verdicts by `comparisonName`
 */
export function chooseSource(
  sources: readonly SourceFacts[],
  verdicts: ReadonlyMap<string, Verdict> = new Map(),
): SourceChoice {
  const best = sources.reduce((found, _, index) => (isBetter(sources, index, found) ? index : found), 0);
  for (const [other, { databases }] of sources.entries()) {
    for (const [database, line] of databases) {
      const furthest = sources[best]?.databases.get(database);
      if (furthest === undefined || furthest.end.tx < line.end.tx) return crossed(sources, [best, other], database);
    }
  }
  for (const [other, { databases }] of sources.entries()) {
    if (other === best) continue;
    for (const [database, line] of databases) {
      const furthest = sources[best]?.databases.get(database) as SourceLine;
      const tx = disagreement(furthest, line);
      if (tx !== null) return { kind: 'disagree', sources: [best, other], database, tx };
      const { end } = line;
      if (furthest.known.some((known) => known.tx === end.tx)) continue;
      const comparison = { source: best, database, wanted: end };
      const verdict = verdicts.get(comparisonName(comparison));
      if (verdict === undefined) return { kind: 'compare', comparison };
      if (verdict === 'other') return { kind: 'disagree', sources: [best, other], database, tx: end.tx };
    }
  }
  return { kind: 'chosen', source: best };
}

/** Whether one is at least as far in all databases of both, and further in one, or of a later image. */
function isBetter(sources: readonly SourceFacts[], index: number, than: number): boolean {
  const [a, b] = [sources[index], sources[than]];
  if (a === undefined || b === undefined) return false;
  let isFurther = false;
  for (const database of new Set([...a.databases.keys(), ...b.databases.keys()])) {
    const [mine, its] = [reach(a, database), reach(b, database)];
    if (mine < its) return false;
    if (mine > its) isFurther = true;
  }
  return isFurther || (a.imageTime ?? 0n) > (b.imageTime ?? 0n);
}

const reach = ({ databases }: SourceFacts, database: string): bigint => databases.get(database)?.end.tx ?? -1n;

/** The first offset that both name with other checksums. */
function disagreement(a: SourceLine, b: SourceLine): TxOffset | null {
  const known = new Map(a.known.map(({ tx, crc }) => [tx, crc]));
  for (const { tx, crc } of b.known) {
    const there = known.get(tx);
    if (there !== undefined && there !== crc) return tx;
  }
  return null;
}

function crossed(
  sources: readonly SourceFacts[],
  [best, other]: readonly [number, number],
  database: string,
): SourceChoice {
  const [a, b] = [sources[best], sources[other]] as readonly [SourceFacts, SourceFacts];
  const mine = [...a.databases.keys()].find((name) => reach(a, name) > reach(b, name));
  return { kind: 'crossed', sources: [best, other], databases: [mine ?? database, database] };
}
