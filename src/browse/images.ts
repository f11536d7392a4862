/** The images of a server's own files, one row each: names, and each manifest. */
import { CorruptionError } from '../core/errors.ts';
import { mapAhead } from '../core/map-ahead.ts';
import type { Micros } from '../core/types.ts';
import { decodeImageManifest, IMAGE_MANIFEST_BYTES_MAX, type ImageReplica } from '../layout/image-manifest.ts';
import type { GenerationName } from '../layout/keys.ts';
import { chooseGeneration, lineOf } from '../layout/line.ts';
import { type ImageName, imagePosition, imagePrefix, parseServerKey } from '../layout/server-keys.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { isUnusable } from '../restore/follow-plan.ts';
import { readOrNull } from '../restore/read-store.ts';
import type { ListedImage, ServerView } from '../restore/server/read-server-store.ts';

export interface ImageRow {
  readonly generation: GenerationName;
  readonly name: ImageName;
  /** The writer's clock at the copy. */
  readonly time: Micros;
  readonly onHeadLine: boolean;
  /** Stored, of its files; without programs, which images share. */
  readonly bytes: number;
  /** Null, as what follows, where the manifest cannot be read. */
  readonly files: number | null;
  readonly programs: number | null;
  /** The databases that were there, and how far each was stored. */
  readonly replicas: readonly ImageReplica[] | null;
  readonly state: 'usable' | 'damaged' | 'gone';
  readonly problem: string | null;
}

/** Ascending by time. @throws what the client throws */
export async function describeImages(view: ServerView, fetch: FetchOptions): Promise<readonly ImageRow[]> {
  const onLine = headImages(view);
  const bytes = new Map<string, number>();
  for (const [key, size] of view.files) {
    const file = parseServerKey(key);
    if (file?.kind === 'image-file') bytes.set(placeOf(file), (bytes.get(placeOf(file)) ?? 0) + size);
  }
  const listed = [...view.images.values()]
    .flat()
    .sort((a, b) => (a.image.name !== b.image.name ? (a.image.name < b.image.name ? -1 : 1) : 0));
  const rows: ImageRow[] = [];
  const describe = (image: ListedImage): Promise<ImageRow> =>
    describeImage(image, { fetch, bytes: bytes.get(placeOf(image)) ?? 0, onHeadLine: onLine.has(image.key) });
  const ahead = { ahead: fetch.parallelism, signal: fetch.signal };
  for await (const row of mapAhead(listed, describe, ahead)) rows.push(row);
  return rows;
}

const placeOf = ({ generation, image }: Pick<ListedImage, 'generation' | 'image'>): string =>
  imagePrefix(generation, image.name);

/** Keys of the images that count: of the head's line; none where that cannot be followed. */
function headImages(view: ServerView): ReadonlySet<string> {
  const listed = view.generations.map((generation) => ({ generation, holdsData: view.images.has(generation) }));
  const end = chooseGeneration(view.head, listed);
  const keys = new Set<string>();
  if (end === null) return keys;
  try {
    for (const { generation, until } of lineOf(end, view.documents)) {
      for (const { key, image } of view.images.get(generation) ?? []) {
        const { tx, crc } = imagePosition(image);
        if (until === null || tx < until.tx || (tx === until.tx && crc === until.crc)) keys.add(key);
      }
    }
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    keys.clear();
  }
  return keys;
}

async function describeImage(
  { generation, image, key }: ListedImage,
  { fetch, bytes, onHeadLine }: { fetch: FetchOptions; bytes: number; onHeadLine: boolean },
): Promise<ImageRow> {
  const known = { generation, name: image.name, time: image.time, onHeadLine, bytes };
  const nothing = { files: null, programs: null, replicas: null };
  try {
    const stored = await readOrNull(key, { ...fetch, bytesMax: IMAGE_MANIFEST_BYTES_MAX });
    if (stored === null) return { ...known, ...nothing, state: 'gone', problem: null };
    const { files, programs, replicas } = decodeImageManifest(stored, { key });
    return { ...known, files: files.length, programs: programs.length, replicas, state: 'usable', problem: null };
  } catch (error) {
    if (!isUnusable(error)) throw error;
    return { ...known, ...nothing, state: 'damaged', problem: error.message };
  }
}
