/** A real server data directory beside a store in memory, and writers of images between them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../../src/layout/generation-document.ts';
import { decodeHeadDocument, encodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { decodeImageManifest, type ImageManifest } from '../../src/layout/image-manifest.ts';
import { type GenerationName, generationKey, HEAD_KEY } from '../../src/layout/keys.ts';
import {
  imageFileKey,
  imageManifestKey,
  type ImageNameParts,
  parseServerKey,
  SERVER_PREFIX,
} from '../../src/layout/server-keys.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import { readBody, type ReplicaClient } from '../../src/replica/replica-client.ts';
import { prefixedClient } from '../../src/replica/wrap/prefixed.ts';
import {
  ServerImageReplicator,
  type ServerImageReplicatorOptions,
} from '../../src/replicate/server/server-image-replicator.ts';
import { identifyWriter } from '../../src/replicate/writer.ts';
import { decodeFrameSync } from '../../src/zstd/frame.ts';
import { copyVector } from '../vectors/vectors.ts';
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts';

type Options = Partial<Omit<ServerImageReplicatorOptions, 'serverClient'>> & { readonly owner?: string };

export interface FoundImage {
  readonly generation: GenerationName;
  readonly image: ImageNameParts;
  readonly manifest: ImageManifest;
  /** Plain, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export const PLAIN_BYTES_MAX = 64 * 1024 * 1024;

export class ServerScene implements AsyncDisposable {
  readonly client = new MemoryReplicaClient();
  readonly data: string;
  readonly #place: TemporaryDirectory;

  private constructor(place: TemporaryDirectory) {
    this.#place = place;
    this.data = place.at('data');
  }

  static async open(): Promise<ServerScene> {
    const scene = new ServerScene(await temporaryDirectory());
    copyVector('server-2.8', scene.data);
    return scene;
  }

  /** A path in the data directory. */
  at(...names: readonly string[]): string {
    return this.#place.at('data', ...names);
  }

  beside(name: string): string {
    return this.#place.at(name);
  }

  /** @param path in the data directory */
  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), content);
  }

  async writer({ owner = 'game-0', client = this.client, ...options }: Options = {}): Promise<ServerImageReplicator> {
    return new ServerImageReplicator({
      dataDirectory: this.data,
      extraFiles: [],
      files: diskFiles,
      client,
      serverClient: prefixedClient(client, SERVER_PREFIX),
      writer: await identifyWriter({ owner, version: '0.0.0' }),
      leaseTtlMs: 60_000,
      replicas: () => [],
      clock: systemClock,
      log: silentLog,
      once: true,
      compressionLevel: 1,
      budget: new ByteBudget(96 * 1024 * 1024),
      intervalMs: 20,
      ...options,
    });
  }

  async runOnce(options: Options = {}): Promise<ServerImageReplicator> {
    const writer = await this.writer(options);
    await writer.run(new AbortController().signal);
    return writer;
  }

  get server(): ReplicaClient {
    return prefixedClient(this.client, SERVER_PREFIX);
  }

  async keys(prefix = ''): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.client.list(prefix)) found.push(key);
    return found;
  }

  async head(): Promise<HeadDocument> {
    return decodeHeadDocument(await readBody(await this.server.get(HEAD_KEY), 1e6));
  }

  async writeHead(change: Partial<HeadDocument>): Promise<void> {
    await this.server.put(HEAD_KEY, encodeHeadDocument({ ...(await this.head()), ...change }));
  }

  async generation(name: GenerationName): Promise<GenerationDocument> {
    const key = generationKey(name);
    return decodeGenerationDocument(await readBody(await this.server.get(key), 1e6), { key });
  }

  /** Every complete image, in the order of their names; all that it names is read and decoded. */
  async images(): Promise<FoundImage[]> {
    const found: FoundImage[] = [];
    for await (const { key } of this.server.list('generations/')) {
      const parsed = parseServerKey(key);
      if (parsed?.kind !== 'image') continue;
      const { generation, image } = parsed;
      const manifestOf = imageManifestKey(generation, image.name);
      const manifest = decodeImageManifest(await this.read(manifestOf), { key: manifestOf });
      const files = new Map<string, Uint8Array>();
      for (const [index, { path }] of manifest.files.entries()) {
        const frame = await this.read(imageFileKey(generation, image.name, index));
        files.set(path, decodeFrameSync(frame, { plainBytesMax: PLAIN_BYTES_MAX }));
      }
      found.push({ generation, image, manifest, files });
    }
    return found;
  }

  /** @param key below `server/` */
  async read(key: string): Promise<Uint8Array> {
    return await readBody(await this.server.get(key), PLAIN_BYTES_MAX);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place[Symbol.asyncDispose]();
  }
}
