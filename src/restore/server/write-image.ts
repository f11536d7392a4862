/**
 * Writes one image into a staged server data directory: its files with their modes, its directories, empty ones too, and
 * the programs that it names. Every file is proven by its hash before it is written.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from '../../core/atomic-file.ts';
import { blake3Hex } from '../../core/checksum.ts';
import { CorruptionError, localFileError } from '../../core/errors.ts';
import type { ImageFile, ImageManifest } from '../../layout/image-manifest.ts';
import { IMAGE_FILE_BYTES_MAX } from '../../layout/image-manifest.ts';
import { imageFileKey, programKey } from '../../layout/server-keys.ts';
import { readBody } from '../../replica/replica-client.ts';
import { Keccak256 } from '../../spacetimedb/keccak.ts';
import { formatProgramPath } from '../../spacetimedb/server-files.ts';
import { decodeFrame } from '../../zstd/frame.ts';
import { decodeFrameHeader, FRAME_HEADER_BYTES_MAX } from '../../zstd/frame-header.ts';
import { type FetchOptions, fetchParts, type Part } from '../fetch-parts.ts';
import { checkFits } from '../read-snapshot.ts';
import { StagedFile } from '../staged-file.ts';
import type { TargetSystem } from '../target-system.ts';
import type { ListedImage } from './read-server-store.ts';

export interface WriteImageOptions {
  readonly image: ListedImage;
  readonly manifest: ImageManifest;
  /** Stored bytes of images' files, by key. */
  readonly files: ReadonlyMap<string, number>;
  /** An existing, empty directory. */
  readonly directory: string;
  readonly system: TargetSystem;
  /** Its client's keys are relative to `server/`. */
  readonly fetch: FetchOptions;
  /** With the bytes of a file, and 0 for a program. */
  readonly onFile: (plainBytes: number) => void;
}

export interface WrittenImage {
  readonly plainBytes: number;
}

interface FilePart extends Part {
  readonly plainBytes: number;
  /** Below the data directory. */
  readonly path: string;
  /** Null: as the target's files are. */
  readonly mode: number | null;
  readonly hash: string;
  readonly hashOf: (plain: Uint8Array) => string;
}

/** @throws CorruptionError, ObjectNotFoundError: then this image is of no use; LocalFileError */
export async function writeImage(options: WriteImageOptions): Promise<WrittenImage> {
  const { manifest, directory, fetch, onFile } = options;
  const tree = new Tree(directory);
  for (const path of manifest.directories) await tree.make(path);
  let plainBytes = 0;
  for await (using fetched of fetchParts(partsOf(options), fetch)) {
    const { part, bytes } = fetched;
    await tree.make(dirname(part.path));
    await writeFile(part, await unpack(part, bytes), options);
    plainBytes += part.plainBytes;
    // A program's length is told by nothing but itself: it cannot be part of what was announced.
    onFile(part.mode === null ? 0 : part.plainBytes);
  }
  await tree.sync();
  return { plainBytes };
}

async function* partsOf(options: WriteImageOptions): AsyncGenerator<FilePart, void, void> {
  const { image, manifest, fetch } = options;
  for (const [index, file] of manifest.files.entries()) {
    const part = filePart(imageFileKey(image.generation, image.image.name, index), file, options);
    checkFits({ length: part.endExclusive, plainLength: part.plainBytes }, { key: part.key, fetch });
    yield part;
  }
  for (const hash of manifest.programs) {
    const part = await programPart(hash, fetch);
    checkFits({ length: part.endExclusive, plainLength: part.plainBytes }, { key: part.key, fetch });
    yield part;
  }
}

function filePart(key: string, { path, bytes, mode, blake3 }: ImageFile, { files }: WriteImageOptions): FilePart {
  const size = files.get(key);
  if (size === undefined) throw new CorruptionError(`${key}, a file of an image, is missing`, { facts: { key } });
  return { ...wholeObject(key, size), ...plainPart(bytes), path, mode, hash: blake3, hashOf: blake3Hex };
}

/** Nothing but the program itself says how long it is: that stands at its beginning. */
async function programPart(hash: string, { client, signal }: FetchOptions): Promise<FilePart> {
  const key = programKey(hash);
  const range = { start: 0, endExclusive: FRAME_HEADER_BYTES_MAX };
  let size = 0;
  let head = new Uint8Array(0);
  try {
    const stored = await client.get(key, { signal, range });
    size = stored.size;
    head = Uint8Array.from(await readBody(stored, FRAME_HEADER_BYTES_MAX));
  } catch (error) {
    // An empty object has no first byte.
    if (!(error instanceof RangeError)) throw error;
  }
  const bytes = readHeader(head)?.contentSize ?? null;
  if (bytes === null || bytes > IMAGE_FILE_BYTES_MAX) {
    throw new CorruptionError(`${key} is no stored program: it does not begin with a frame of a known length`, {
      facts: { key },
    });
  }
  const path = formatProgramPath(hash);
  return { ...wholeObject(key, size), ...plainPart(bytes), path, mode: null, hash, hashOf: keccak256Hex };
}

const keccak256Hex = (bytes: Uint8Array): string => new Keccak256().update(bytes).digestHex();

const wholeObject = (key: string, size: number): Part => ({ key, objectBytes: size, start: 0, endExclusive: size });
const plainPart = (plainBytes: number): Pick<FilePart, 'plainBytes' | 'extraBytes'> => ({
  plainBytes,
  extraBytes: plainBytes,
});

function readHeader(bytes: Uint8Array): ReturnType<typeof decodeFrameHeader> {
  try {
    return decodeFrameHeader(bytes);
  } catch (error) {
    if (error instanceof CorruptionError) return null;
    throw error;
  }
}

async function unpack({ key, plainBytes, hash, hashOf }: FilePart, bytes: Uint8Array): Promise<Uint8Array> {
  let plain: Uint8Array;
  try {
    plain = await decodeFrame(bytes, { plainBytesMax: plainBytes });
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    throw new CorruptionError(`${key} is damaged: ${error.message}`, { cause: error, facts: { key } });
  }
  if (plain.byteLength === plainBytes && hashOf(plain) === hash) return plain;
  throw new CorruptionError(`${key} does not hold what its image names`, { facts: { key } });
}

async function writeFile({ path, mode }: FilePart, plain: Uint8Array, options: WriteImageOptions): Promise<void> {
  const { directory, system } = options;
  await using file = await StagedFile.create(join(directory, path), mode === null ? system : withMode(system, mode));
  await file.write(plain);
  await file.finish();
}

/** Files of an image keep their modes whatever the target's are: one of them may be a secret. */
const withMode = (system: TargetSystem, mode: number): TargetSystem => ({
  ...system,
  createFile: async (path) => {
    const file = await system.createFile(path);
    try {
      await file.chmod(mode);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  },
});

/** The directories of an image, each made once, and durable together with the names in them. */
class Tree {
  readonly #root: string;
  readonly #made = new Set<string>(['.']);

  constructor(root: string) {
    this.#root = root;
  }

  /** @param path relative to the root, of known shape */
  async make(path: string): Promise<void> {
    if (this.#made.has(path)) return;
    await this.make(dirname(path));
    try {
      await mkdir(join(this.#root, path), { recursive: true });
    } catch (error) {
      throw localFileError('create', join(this.#root, path), error);
    }
    this.#made.add(path);
  }

  async sync(): Promise<void> {
    for (const path of this.#made) await fsyncDirectory(join(this.#root, path));
  }
}
