/**
 * Puts one copy of a server's files into the store as an image: the files, and the manifest last, which makes it. An
 * image that equals the newest of its generation is not stored again.
 */
import { LocalFileError } from '../../core/errors.ts';
import { mapAhead } from '../../core/map-ahead.ts';
import { type Micros, micros } from '../../core/types.ts';
import { encodeImageManifest, imageHash, imageNameOf, type ImageReplica } from '../../layout/image-manifest.ts';
import type { GenerationName } from '../../layout/keys.ts';
import { imageFileKey, imageManifestKey, type ImageNameParts } from '../../layout/server-keys.ts';
import { PreconditionFailedError, type ReplicaClient } from '../../replica/replica-client.ts';
import { encodeFrame } from '../../zstd/frame.ts';
import type { HeadLease } from '../head-lease.ts';
import type { StableCopy } from './stable-copy.ts';

/** Files under way at once. */
const PUTS_AHEAD = 4;

export interface ImageUploaderOptions {
  /** Of `server/`. */
  readonly client: ReplicaClient;
  readonly lease: HeadLease;
  readonly generation: GenerationName;
  readonly compressionLevel: number;
  /** The newest image of this generation; null where it has none, also where its parent has one. */
  readonly newest: ImageNameParts | null;
  /** No image of the line is later. */
  readonly newestTime: Micros | null;
}

export interface ImageSource {
  readonly copy: StableCopy;
  /** All stored. */
  readonly programs: readonly string[];
  readonly replicas: readonly ImageReplica[];
}

export class ImageUploader {
  readonly #options: ImageUploaderOptions;
  #newest: ImageNameParts | null;
  #newestTime: Micros | null;

  constructor(options: ImageUploaderOptions) {
    this.#options = options;
    this.#newest = options.newest;
    this.#newestTime = options.newestTime;
  }

  /** Of the newest image in the line. */
  get newestTime(): Micros | null {
    return this.#newestTime;
  }

  /**
   * @returns the image, or null when the newest one equals it
   * @throws LocalFileError when there is more than a manifest can list; FencedError; store errors
   */
  async upload(
    { copy, programs, replicas }: ImageSource,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ImageNameParts | null> {
    const content = {
      files: copy.files.map(({ path, mode, plain, blake3 }) => ({ path, mode, bytes: plain.byteLength, blake3 })),
      directories: copy.directories,
      programs,
      replicas,
    };
    if (this.#newest?.hash === imageHash(content)) return null;
    const manifest = { ...content, time: this.#timeOf(copy) };
    const image = imageNameOf(manifest);
    const document = encodeImageManifest(manifest);
    if (document === null) throw tooMany(copy, programs);
    await this.#putFiles(image, copy, signal);
    await this.#putManifest(image, document, signal);
    this.#newest = image;
    this.#newestTime = image.time;
    return image;
  }

  /** The clock's, but later than that of every image before it: clocks are set back. */
  #timeOf({ time }: StableCopy): Micros {
    return this.#newestTime === null || time > this.#newestTime ? time : micros(this.#newestTime + 1n);
  }

  async #putFiles(image: ImageNameParts, { files }: StableCopy, signal: AbortSignal): Promise<void> {
    const { client, lease, generation, compressionLevel } = this.#options;
    const put = async ([index, { plain }]: [number, StableCopy['files'][number]]): Promise<void> => {
      const frame = await encodeFrame(plain, { level: compressionLevel });
      await lease.ensureFresh(null, { signal });
      await client.put(imageFileKey(generation, image.name, index), frame, { signal });
    };
    for await (const _ of mapAhead(files.entries(), put, { ahead: PUTS_AHEAD, signal })) signal.throwIfAborted();
  }

  async #putManifest(image: ImageNameParts, document: Uint8Array, signal: AbortSignal): Promise<void> {
    const { client, lease, generation } = this.#options;
    await lease.ensureFresh(null, { signal });
    const ifAbsent = client.conditional !== 'none' && lease.mode === 'exclusive';
    try {
      await client.put(imageManifestKey(generation, image.name), document, { ifAbsent, signal });
    } catch (error) {
      // Written by this process before, whole: no other one writes this generation, and the name tells the content.
      if (!(error instanceof PreconditionFailedError)) throw error;
    }
  }
}

const tooMany = ({ files }: StableCopy, programs: readonly string[]): LocalFileError =>
  new LocalFileError(`an image cannot list ${files.length} files and ${programs.length} programs: they are too many`, {
    hint: 'Remove programs that no database uses any more from program-bytes.',
  });
