/** The generations of a server's own files, one row each. Pure. */
import type { Micros } from '../core/types.ts';
import { CorruptionError } from '../core/errors.ts';
import type { GenerationDocument, GenerationReason, ParentPoint } from '../layout/generation-document.ts';
import type { GenerationName } from '../layout/keys.ts';
import { chooseGeneration, lineOf } from '../layout/line.ts';
import type { ServerView } from '../restore/server/read-server-store.ts';

export interface ImageGenerationRow {
  readonly generation: GenerationName;
  /** Null, with all that it tells, where generation.json is missing or damaged. */
  readonly reason: GenerationReason | null;
  readonly parent: ParentPoint | null;
  readonly createdAt: Micros | null;
  readonly writer: GenerationDocument['writer'] | null;
  readonly images: number;
  readonly oldest: Micros | null;
  readonly newest: Micros | null;
  /** As of a database's generation. */
  readonly place: 'head' | 'line' | 'other';
  readonly problem: string | null;
}

/** Ascending. */
export function describeImageGenerations(view: ServerView): readonly ImageGenerationRow[] {
  const listed = view.generations.map((generation) => ({ generation, holdsData: view.images.has(generation) }));
  const end = chooseGeneration(view.head, listed);
  const line = namesOfLine(end, view);
  return view.generations.map((generation) => {
    const document = view.documents.get(generation) ?? null;
    const images = view.images.get(generation) ?? [];
    const missing = document === null ? 'its generation.json is missing' : null;
    return {
      generation,
      reason: document?.reason ?? null,
      parent: document?.parent ?? null,
      createdAt: document?.createdAt ?? null,
      writer: document?.writer ?? null,
      images: images.length,
      oldest: images[0]?.image.time ?? null,
      newest: images.at(-1)?.image.time ?? null,
      place: generation === end ? 'head' : line.has(generation) ? 'line' : 'other',
      problem: view.badDocuments.get(generation)?.message ?? missing,
    };
  });
}

function namesOfLine(end: GenerationName | null, { documents }: ServerView): ReadonlySet<GenerationName> {
  if (end === null) return new Set();
  try {
    return new Set(lineOf(end, documents).map(({ generation }) => generation));
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return new Set([end]);
  }
}
