/**
 * A line: a generation up to its end, before it its parent up to the parent point, and so on. Pure.
 */
import { CorruptionError, UsageError } from '../core/errors.ts';
import { formatPosition, type Position } from '../core/types.ts';
import type { GenerationDocument } from './generation-document.ts';
import type { HeadDocument } from './head-document.ts';
import { type GenerationName, generationKey, parseGenerationName } from './keys.ts';

export interface LinePart {
  readonly generation: GenerationName;
  /** The last commit of this generation that belongs to the line; null for the newest part. */
  readonly until: Position | null;
}

const numberOf = (name: GenerationName): number => parseGenerationName(name)?.number ?? 0;

function requireDocument(
  generation: GenerationName,
  documents: ReadonlyMap<GenerationName, GenerationDocument>,
): GenerationDocument {
  const document = documents.get(generation);
  if (document) return document;
  throw new CorruptionError(`${generationKey(generation)} is missing, and a line leads through this generation`, {
    facts: { key: generationKey(generation) },
    hint: 'Choose another generation, or bring this object back from an older version.',
  });
}

/** The earlier of two points of one history. @throws CorruptionError when they are one transaction and differ */
function earlier(a: Position | null, b: Position, child: GenerationName): Position {
  if (a === null || b.tx < a.tx) return b;
  if (b.tx === a.tx && b.crc !== a.crc) {
    throw new CorruptionError(
      `generation ${child} branches at ${formatPosition(b)}, but a later generation of the line has ${formatPosition(a)}`,
      { facts: { generation: child } },
    );
  }
  return a;
}

/**
 * The parts of the line that ends with `generation`, oldest first. A generation that contributes nothing, because its
 * child branched before the point where it began itself, is left out; one that branched right there has no commits, but
 * may hold snapshots. `generation` itself is always the last part.
 *
 * @throws CorruptionError when a document is missing, a parent has no smaller number than its child, or two parent
 * points contradict each other
 */
export function lineOf(
  generation: GenerationName,
  documents: ReadonlyMap<GenerationName, GenerationDocument>,
): readonly LinePart[] {
  const parts: LinePart[] = [];
  let until: Position | null = null;
  for (let name: GenerationName | null = generation; name !== null; ) {
    const { parent }: GenerationDocument = requireDocument(name, documents);
    const isEmpty: boolean = until !== null && parent !== null && until.tx < parent.position.tx;
    if (!isEmpty) parts.push({ generation: name, until });
    if (parent === null) break;
    if (numberOf(parent.generation) >= numberOf(name)) {
      throw new CorruptionError(`generation ${name} names ${parent.generation} as its parent, which is not older`);
    }
    until = earlier(until, parent.position, name);
    name = parent.generation;
  }
  return parts.reverse();
}

/** A generation of the store, and whether a log object or a snapshot lies in it. */
export interface ListedGeneration {
  readonly generation: GenerationName;
  readonly holdsData: boolean;
}

/**
 * The generation that is meant by `-generation`: its full name, or its number with or without leading zeros.
 *
 * @throws UsageError when there is none, or the number belongs to several
 */
export function requireGeneration(text: string, listed: readonly ListedGeneration[]): GenerationName {
  const names = listed.map(({ generation }) => generation);
  const exact = names.find((name) => name === text);
  if (exact !== undefined) return exact;
  const found = /^\d{1,8}$/.test(text) ? names.filter((name) => numberOf(name) === Number(text)) : [];
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  if (first !== undefined) {
    throw new UsageError(`generation ${text} is one of several: ${found.join(', ')}`, { hint: 'Give the full name.' });
  }
  throw new UsageError(`there is no generation ${text}`, {
    hint: names.length === 0 ? 'There is none at all.' : `There are ${names.slice(-10).join(', ')}.`,
  });
}

/**
 * The generation whose line a reader follows: the head's; without a head the highest-numbered one that holds a log
 * object or a snapshot (of two with one number, that with the greater name). Null when there is none.
 */
export function chooseGeneration(
  head: Pick<HeadDocument, 'generation'> | null,
  listed: readonly ListedGeneration[],
): GenerationName | null {
  if (head !== null) return head.generation;
  const names = listed.filter(({ holdsData }) => holdsData).map(({ generation }) => generation);
  // Names begin with eight digits: text order is the order of numbers.
  return names.reduce<GenerationName | null>((best, name) => (best === null || name > best ? name : best), null);
}
