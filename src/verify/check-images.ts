/** The images of a server's own files: documents, lines, and that every file and program is there; deep also whole. */
import { blake3Hex } from '../core/checksum.ts';
import { CorruptionError, errorMessage, UnsupportedFormatError } from '../core/errors.ts';
import {
  decodeImageManifest,
  IMAGE_FILE_BYTES_MAX,
  IMAGE_MANIFEST_BYTES_MAX,
  type ImageManifest,
} from '../layout/image-manifest.ts';
import { type GenerationName, generationKey, HEAD_KEY } from '../layout/keys.ts';
import { imageFileKey, parseServerKey, programKey } from '../layout/server-keys.ts';
import { formatTimestamp } from '../layout/time.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import { concurrently } from '../restore/concurrently.ts';
import { type FetchOptions, fetchParts } from '../restore/fetch-parts.ts';
import { checkFits } from '../restore/read-snapshot.ts';
import { readOrNull } from '../restore/read-store.ts';
import { imagesOfLine } from '../restore/server/image-line.ts';
import { type ListedImage, readServerStore, type ServerView } from '../restore/server/read-server-store.ts';
import { Keccak256 } from '../spacetimedb/keccak.ts';
import { decodeFrame } from '../zstd/frame.ts';
import { decodeFrameHeader } from '../zstd/frame-header.ts';
import type { Log } from '../core/log.ts';
import { type Finding, NO_EFFECT, REMEDY } from './finding.ts';
import { whyNotGiven } from './not-given.ts';
import { badObject } from './read-view.ts';
import { uncheckedFits } from './unchecked.ts';
import { isInSample, type Sample } from './sample.ts';

export interface CheckImagesOptions {
  /** Its client's keys are relative to `server/`. */
  readonly fetch: FetchOptions;
  readonly deep: Sample | null;
  readonly log: Log;
}

export interface CheckedImages {
  /** Keys relative to `server/`. */
  readonly findings: readonly Finding[];
  readonly images: number;
  readonly bytes: number;
  readonly objects: number;
  readonly objectsRead: number;
  readonly bytesRead: number;
  /** Databases that the newest readable image of the line names, and that were stored when it was made. */
  readonly replicas: ReadonlySet<bigint>;
}

interface WantedFile {
  readonly key: string;
  readonly size: number;
  /** Null for a program: only it itself says how long it is. */
  readonly plainBytes: number | null;
  readonly hash: string;
  readonly image: ListedImage;
}

/** @throws what the client throws */
export async function checkImages(options: CheckImagesOptions): Promise<CheckedImages> {
  return await new ImageCheck(options).run();
}

class ImageCheck {
  readonly #options: CheckImagesOptions;
  readonly #findings: Finding[] = [];
  readonly #programs = new Map<string, number>();
  readonly #named = new Set<string>();
  readonly #wanted = new Map<string, WantedFile>();
  #bytesRead = 0;
  #objectsRead = 0;

  constructor(options: CheckImagesOptions) {
    this.#options = options;
  }

  async run(): Promise<CheckedImages> {
    const { fetch, log } = this.#options;
    const view = await this.#readView(log);
    if (view === null) return this.#result({ images: 0, objects: 0, bytes: 0, replicas: new Set() });
    const foreign: string[] = [];
    for await (const { key, size } of fetch.client.list('', { signal: fetch.signal })) {
      const parsed = parseServerKey(key);
      if (parsed?.kind === 'program') this.#programs.set(parsed.hash, size);
      else if (parsed === null) foreign.push(key);
    }
    this.#checkDocuments(view, foreign);
    const replicas = new Map<string, ReadonlySet<bigint>>();
    const all = [...view.images.values()].flat();
    for (const image of all) {
      const manifest = await this.#readManifest(image);
      if (manifest === null) continue;
      // One of which nothing was stored then has nothing to be looked for.
      const stored = manifest.replicas.filter(({ position }) => position !== null);
      replicas.set(image.key, new Set(stored.map(({ replicaId }) => replicaId)));
      this.#checkFiles(image, { manifest, view });
    }
    this.#checkUnneeded(view);
    await this.#readFiles();
    const bytes = [...view.files.values(), ...this.#programs.values()].reduce((sum, size) => sum + size, 0);
    const objects = view.files.size + this.#programs.size + all.length;
    return this.#result({ images: all.length, objects, bytes, replicas: newestOf(this.#lineOf(view), replicas) });
  }

  #result(facts: Omit<CheckedImages, 'findings' | 'bytesRead' | 'objectsRead'>): CheckedImages {
    return { ...facts, findings: this.#findings, bytesRead: this.#bytesRead, objectsRead: this.#objectsRead };
  }

  /** Null where head.json is bad, so that nothing can be said of lines. */
  async #readView(log: Log): Promise<ServerView | null> {
    const { fetch } = this.#options;
    try {
      return await readServerStore({ ...fetch, log });
    } catch (error) {
      if (!(error instanceof CorruptionError) && !(error instanceof UnsupportedFormatError)) throw error;
      this.#findings.push(badObject(HEAD_KEY, error, 'the server cannot be restored until this is mended'));
      return null;
    }
  }

  #checkDocuments({ head, documents, badDocuments, generations, images }: ServerView, foreign: string[]): void {
    const lost = 'no image of the lines that lead through this generation can be restored';
    for (const [generation, error] of badDocuments) {
      this.#findings.push(badObject(generationKey(generation), error, lost));
    }
    const wanted = new Set<GenerationName>(generations.filter((name) => images.has(name)));
    if (head !== null) wanted.add(head.generation);
    for (const { parent } of documents.values()) if (parent !== null) wanted.add(parent.generation);
    for (const name of wanted) {
      if (!documents.has(name) && !badDocuments.has(name)) this.#missing(generationKey(name), lost);
    }
    if (head === null && images.size > 0) this.#missing(HEAD_KEY, 'a restore takes the newest generation');
    if (foreign.length === 0) return;
    this.#findings.push({
      severity: 'note',
      kind: 'foreign',
      key: foreign[0] ?? null,
      message: `${foreign.length === 1 ? 'one object is' : `${foreign.length} objects are`} not of this backup: ${foreign
        .slice(0, 10)
        .map((key) => JSON.stringify(key))
        .join(', ')}`,
      effect: 'none: they are ignored',
      remedy: 'They were put there by somebody else, or are names that were changed.',
    });
  }

  #missing(key: string, effect: string): void {
    const message = `${key} is missing`;
    this.#findings.push({ severity: 'damage', kind: 'missing', key, message, effect, remedy: REMEDY.otherCopy });
  }

  async #readManifest(image: ListedImage): Promise<ImageManifest | null> {
    const { key } = image;
    try {
      const bytes = await readOrNull(key, { ...this.#options.fetch, bytesMax: IMAGE_MANIFEST_BYTES_MAX });
      if (bytes !== null) return decodeImageManifest(bytes, { key });
      const lost = await whyNotGiven(key, this.#options.fetch);
      if (lost !== null) throw lost;
      return null;
    } catch (error) {
      if (!(error instanceof CorruptionError) && !(error instanceof UnsupportedFormatError)) throw error;
      this.#findings.push(badObject(key, error, imageEffect(image)));
      return null;
    }
  }

  #checkFiles(
    image: ListedImage,
    { manifest, view }: { readonly manifest: ImageManifest; readonly view: ServerView },
  ): void {
    for (const [index, { bytes, blake3 }] of manifest.files.entries()) {
      const key = imageFileKey(image.generation, image.image.name, index);
      this.#want({ key, size: view.files.get(key), plainBytes: bytes, hash: blake3, image });
    }
    for (const hash of manifest.programs) {
      this.#want({ key: programKey(hash), size: this.#programs.get(hash), plainBytes: null, hash, image });
    }
  }

  #want({ size, ...file }: Omit<WantedFile, 'size'> & { readonly size: number | undefined }): void {
    const { key } = file;
    if (this.#named.has(key)) return;
    this.#named.add(key);
    if (size === undefined) this.#missing(key, imageEffect(file.image));
    else this.#wanted.set(key, { ...file, size });
  }

  #checkUnneeded({ files }: ServerView): void {
    const all = [...files.keys(), ...[...this.#programs.keys()].map(programKey)];
    const rest = all.filter((key) => !this.#named.has(key));
    if (rest.length === 0) return;
    this.#findings.push({
      severity: 'note',
      kind: 'unneeded',
      key: rest.length === 1 ? (rest[0] ?? null) : null,
      message: `no image names ${rest.slice(0, 3).join(', ')}${rest.length > 3 ? `, … (${rest.length} in all)` : ''}`,
      effect: NO_EFFECT,
      remedy: `They are of an image that is being stored, or was cut off, or whose manifest was removed.`,
    });
  }

  async #readFiles(): Promise<void> {
    const { deep, fetch } = this.#options;
    if (deep === null) return;
    const sampled = [...this.#wanted.values()].filter(({ key }) => isInSample(key, deep));
    await concurrently(sampled, (file) => this.#readFile(file), { limit: Math.min(4, fetch.parallelism) });
  }

  async #readFile(file: WantedFile): Promise<void> {
    const { key, size, image } = file;
    try {
      await checkFile(file, this.#options.fetch);
    } catch (error) {
      if (error instanceof ObjectNotFoundError) return this.#missing(key, imageEffect(image));
      const unchecked = uncheckedFits(error, { key, what: 'what is stored' });
      if (unchecked !== null) return void this.#findings.push(unchecked);
      if (!(error instanceof CorruptionError)) throw error;
      this.#findings.push(badObject(key, error, imageEffect(image)));
    }
    this.#objectsRead += 1;
    this.#bytesRead += size;
  }

  /** Newest first; empty where the line cannot be told. */
  #lineOf(view: ServerView): readonly ListedImage[] {
    if (view.images.size === 0) return [];
    try {
      return imagesOfLine(view, { source: this.#options.fetch.client.url });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#findings.push({
        severity: 'damage',
        kind: 'contradiction',
        key: null,
        message: errorMessage(error),
        effect: 'no image of the server can be restored by default; single databases can, with -replica-id',
        remedy: REMEDY.otherCopy,
      });
      return [];
    }
  }
}

const newestOf = (
  line: readonly ListedImage[],
  replicas: ReadonlyMap<string, ReadonlySet<bigint>>,
): ReadonlySet<bigint> => {
  const newest = line.find(({ key }) => replicas.has(key));
  return (newest && replicas.get(newest.key)) ?? new Set<bigint>();
};

const imageEffect = ({ image }: ListedImage): string =>
  `the server cannot be restored as of ${formatTimestamp(image.time)}; a restore takes another image, loudly`;

async function checkFile({ key, size, plainBytes, hash }: WantedFile, fetch: FetchOptions): Promise<void> {
  checkFits({ length: size, plainLength: plainBytes ?? 0 }, { key, fetch });
  const extraBytes = plainBytes ?? 0;
  for await (using part of fetchParts([{ key, objectBytes: size, start: 0, endExclusive: size, extraBytes }], fetch)) {
    const wanted = plainBytes ?? contentSize(part.bytes, key);
    checkFits({ length: size, plainLength: wanted }, { key, fetch });
    const plain = await decode(part.bytes, { key, plainBytes: wanted });
    const found = plainBytes === null ? new Keccak256().update(plain).digestHex() : blake3Hex(plain);
    if (plain.byteLength === wanted && found === hash) return;
    throw new CorruptionError(`${key} does not hold what its image names`, { facts: { key } });
  }
}

function contentSize(bytes: Uint8Array, key: string): number {
  try {
    const size = decodeFrameHeader(bytes)?.contentSize ?? null;
    if (size !== null && size <= IMAGE_FILE_BYTES_MAX) return size;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
  }
  throw new CorruptionError(`${key} does not begin with a frame of a known length`, { facts: { key } });
}

async function decode(
  bytes: Uint8Array,
  { key, plainBytes }: { readonly key: string; readonly plainBytes: number },
): Promise<Uint8Array> {
  try {
    return await decodeFrame(bytes, { plainBytesMax: plainBytes });
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    throw new CorruptionError(`${key} is damaged: ${error.message}`, { cause: error, facts: { key } });
  }
}
