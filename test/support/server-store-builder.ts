/** Builds the backup of a whole server with the layout's encoders: images as a test wants them, databases from vectors. */
import { blake3Hex } from '../../src/core/checksum.ts';
import { micros } from '../../src/core/types.ts';
import { encodeFormatDocument } from '../../src/layout/format-document.ts';
import { encodeImageManifest, imageNameOf, type StoredReplicaPosition } from '../../src/layout/image-manifest.ts';
import { FORMAT_KEY, type GenerationName } from '../../src/layout/keys.ts';
import {
  imageFileKey,
  imageManifestKey,
  type ImageNameParts,
  imagePosition,
  programKey,
  replicaPrefix,
  SERVER_PREFIX,
} from '../../src/layout/server-keys.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { prefixedClient } from '../../src/replica/wrap/prefixed.ts';
import { Keccak256 } from '../../src/spacetimedb/keccak.ts';
import { encodeFrame } from '../../src/zstd/frame.ts';
import { buildSimpleStore, type SimpleStore, StoreBuilder } from './store-builder.ts';

export interface ImageSample {
  /** Microseconds since 1970. */
  readonly time: bigint;
  readonly files: Readonly<Record<string, { readonly content: string; readonly mode?: number }>>;
  readonly directories?: readonly string[];
  readonly programs?: readonly string[];
  readonly replicas: readonly bigint[];
  /** Where each was stored when the image was made; default: nothing of any. */
  readonly position?: StoredReplicaPosition | null;
}

export interface StoredImage {
  readonly generation: GenerationName;
  readonly image: ImageNameParts;
  /** Below the root. */
  readonly manifestKey: string;
}

export const programHash = (program: string): string => new Keccak256().update(Buffer.from(program)).digestHex();

export class ServerStoreBuilder {
  readonly client: ReplicaClient;
  readonly #server: ReplicaClient;
  readonly #builder: StoreBuilder;

  constructor(client: ReplicaClient) {
    this.client = client;
    this.#server = prefixedClient(client, SERVER_PREFIX);
    this.#builder = new StoreBuilder(this.#server);
  }

  async putFormat(): Promise<void> {
    await this.client.put(FORMAT_KEY, encodeFormatDocument({ kind: 'server' }));
  }

  async putGeneration(number: number, parent?: StoredImage): Promise<GenerationName> {
    const point = parent && { generation: parent.generation, position: imagePosition(parent.image) };
    return await this.#builder.putGeneration({ number, ...(point ? { parent: point } : {}) });
  }

  async putHead(generation: GenerationName): Promise<void> {
    await this.#builder.putHead(generation, null);
  }

  async putImage(generation: GenerationName, sample: ImageSample): Promise<StoredImage> {
    const { files, programs = [], replicas, position = null } = sample;
    const paths = Object.keys(files).sort();
    const contents = paths.map((path) => Buffer.from(files[path]?.content ?? ''));
    const manifest = {
      time: micros(sample.time),
      files: paths.map((path, index) => ({
        path,
        bytes: contents[index]?.byteLength ?? 0,
        mode: files[path]?.mode ?? 0o644,
        blake3: blake3Hex(contents[index] ?? new Uint8Array(0)),
      })),
      directories: [...(sample.directories ?? [])].sort(),
      programs: programs.map(programHash).sort(),
      replicas: replicas.map((replicaId) => ({ replicaId, position })),
    };
    const image = imageNameOf(manifest);
    for (const [index, content] of contents.entries()) {
      await this.#server.put(imageFileKey(generation, image.name, index), await encodeFrame(content, { level: 1 }));
    }
    for (const program of programs) {
      await this.#server.put(programKey(programHash(program)), await encodeFrame(Buffer.from(program), { level: 1 }));
    }
    const key = imageManifestKey(generation, image.name);
    await this.#server.put(key, encodeImageManifest(manifest) as Uint8Array);
    return { generation, image, manifestKey: `${SERVER_PREFIX}${key}` };
  }

  async putReplica(replicaId: bigint, replicaDir: string): Promise<SimpleStore> {
    return await buildSimpleStore({ client: prefixedClient(this.client, replicaPrefix(replicaId)), replicaDir });
  }
}
