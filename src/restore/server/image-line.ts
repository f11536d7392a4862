/** The images of a server that count: those of the head's line. Pure. */
import { NoBackupError, UnrecoverablePointError } from '../../core/errors.ts';
import type { GenerationName } from '../../layout/keys.ts';
import { chooseGeneration, lineOf, requireGeneration } from '../../layout/line.ts';
import { imagePosition } from '../../layout/server-keys.ts';
import { formatTimestamp } from '../../layout/time.ts';
import type { ListedImage, ServerView } from './read-server-store.ts';

export interface ImageLineOptions {
  /** The destination, for people. */
  readonly source: string;
  /** Another line than the head's: a full name or a number. */
  readonly generation?: string | undefined;
}

/**
 * Newest first; never empty.
 *
 * @throws NoBackupError where no image was ever stored; UnrecoverablePointError where the line holds none;
 * CorruptionError where a document of the line is damaged or missing; UsageError for an unknown generation
 */
export function imagesOfLine(view: ServerView, options: ImageLineOptions): readonly ListedImage[] {
  const end = lineEnd(view, options);
  const found: ListedImage[] = [];
  checkDocuments(end, view);
  for (const { generation, until } of lineOf(end, view.documents)) {
    for (const listed of view.images.get(generation) ?? []) {
      const { tx, crc } = imagePosition(listed.image);
      // What a writer stored after another one had taken over belongs to no line.
      if (until === null || tx < until.tx || (tx === until.tx && crc === until.crc)) found.push(listed);
    }
  }
  if (found.length === 0) throw noImageError(end, view);
  // Of one time, the newer generation's first.
  return found.sort((a, b) => compare(b.image.time, a.image.time) || compare(b.generation, a.generation));
}

const compare = <T extends string | bigint>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

function lineEnd(view: ServerView, { source, generation }: ImageLineOptions): GenerationName {
  const listed = view.generations.map((name) => ({ generation: name, holdsData: view.images.has(name) }));
  if (view.images.size === 0) {
    throw new NoBackupError(
      `there is no backup in ${source}: no image of a server data directory was ever stored there`,
      {
        facts: { url: source },
        hint: 'Check the URL and its prefix. A single database is restored from it with -replica-id.',
      },
    );
  }
  if (generation !== undefined) return requireGeneration(generation, listed);
  const chosen = chooseGeneration(view.head, listed);
  if (chosen !== null) return chosen;
  throw new TypeError('a listing with an image names a generation');
}

function checkDocuments(end: GenerationName, { documents, badDocuments }: ServerView): void {
  const seen = new Set<GenerationName>();
  for (let name: GenerationName | undefined = end; name !== undefined && !seen.has(name); ) {
    const bad = badDocuments.get(name);
    if (bad !== undefined) throw bad;
    seen.add(name);
    name = documents.get(name)?.parent?.generation;
  }
}

function noImageError(end: GenerationName, { images }: ServerView): UnrecoverablePointError {
  const others = [...images].map(([generation, listed]) => {
    const newest = listed.reduce((best, next) => (next.image.time > best.image.time ? next : best));
    return `-generation ${generation} has one of ${formatTimestamp(newest.image.time)}`;
  });
  return new UnrecoverablePointError(`the line of generation ${end} holds no image of the server data directory`, {
    hint: `Another line holds one, which a restore never takes by itself: ${others.join('; ')}.`,
    facts: { generation: end },
  });
}
