/** One backup of a real database, or of a server with it, to plant damage in: each thing is changed as if written so. */
import { zstdDecompressSync } from 'node:zlib';
import { crc32c } from '../../src/core/checksum.ts';
import { formatCrc, micros } from '../../src/core/types.ts';
import type { PackLine, ManifestHeader } from '../../src/layout/manifest.ts';
import { decodeManifest, encodeManifest } from '../../src/layout/manifest-stream.ts';
import { formatKeyTime, parseKeyTime } from '../../src/layout/time.ts';
import { encodeFrameSync } from '../../src/zstd/frame.ts';
import { vectorDirectory } from '../vectors/vectors.ts';
import { collect } from './pieces.ts';
import { type ImageSample, ServerStoreBuilder, type StoredImage } from './server-store-builder.ts';
import { buildSimpleStore, type SimpleStore } from './store-builder.ts';
import { VerifyScene } from './verify-scene.ts';

/** 300 commits in objects of 40, snapshots. */
export const SMALL = vectorDirectory('v2-small');
export const IMAGE_TIME = 1_700_000_000_000_000n;

export class PlantedBackup extends VerifyScene {
  readonly store: SimpleStore;

  protected constructor(scene: VerifyScene, store: SimpleStore) {
    super(scene.client);
    this.store = store;
  }

  static async build(): Promise<PlantedBackup> {
    const scene = new VerifyScene();
    return new PlantedBackup(scene, await buildSimpleStore({ client: scene.client, replicaDir: SMALL }));
  }

  logKey(index: number): string {
    const key = this.store.logKeys.at(index);
    if (key === undefined) throw new Error(`there is no log object ${index}`);
    return key;
  }

  /** The only one, or the first, of that name. */
  keyOf(part: string): string {
    const [key] = this.keys(part);
    if (key === undefined) throw new Error(`there is no ${part}`);
    return key;
  }

  async remove(key: string): Promise<string> {
    await this.client.delete([key]);
    return key;
  }

  /** Under a changed name; gives the new one. */
  async renamed(key: string, change: (key: string) => string): Promise<string> {
    const to = change(key);
    if (to === key) throw new Error(`the name of ${key} did not change`);
    await this.rename(key, to);
    return to;
  }

  flipped(key: string): string {
    this.flip(key);
    return key;
  }

  cut(key: string): string {
    this.client.store.set(key, this.bytesOf(key).subarray(1));
    return key;
  }

  /** A JSON document with another text and the right checksum. */
  rewriteDocument(key: string, change: (text: string) => string): string {
    const body = Buffer.from(this.bytesOf(key))
      .toString()
      .trim()
      .replace(/,"crc":"[0-9a-f]{8}"\}$/, '}');
    const changed = change(body);
    if (changed === body) throw new Error(`${key} did not change`);
    const crc = formatCrc(crc32c(Buffer.from(changed)));
    this.client.store.set(key, Buffer.from(`${changed.slice(0, -1)},"crc":"${crc}"}\n`));
    return key;
  }

  /** A manifest that says something else, and is whole. */
  async rewriteManifest(
    key: string,
    change: (manifest: { header: ManifestHeader; packs: PackLine[] }) => { header: ManifestHeader; packs: PackLine[] },
  ): Promise<string> {
    const bytes = this.bytesOf(key);
    const { signal } = new AbortController();
    await using read = await decodeManifest(one(bytes), { key, size: bytes.byteLength, signal });
    const packs: PackLine[] = [];
    for await (const line of read.packs) packs.push(line);
    const parts = await collect(encodeManifest(change({ header: read.header, packs }), { level: 1 }));
    this.client.store.set(key, Buffer.concat(parts));
    return key;
  }

  /** The plain text of a one-frame object, with another one in its place. */
  rewriteFrame(key: string, change: (plain: Buffer) => Uint8Array): string {
    this.client.store.set(key, encodeFrameSync(change(zstdDecompressSync(this.bytesOf(key))), { level: 1 }));
    return key;
  }
}

export class PlantedServer extends PlantedBackup {
  readonly builder: ServerStoreBuilder;
  readonly image: StoredImage;

  private constructor(
    scene: VerifyScene,
    { store, builder, image }: { store: SimpleStore; builder: ServerStoreBuilder; image: StoredImage },
  ) {
    super(scene, store);
    this.builder = builder;
    this.image = image;
  }

  static override async build(): Promise<PlantedServer> {
    const scene = new VerifyScene();
    const builder = new ServerStoreBuilder(scene.client);
    await builder.putFormat();
    const generation = await builder.putGeneration(1);
    const image = await builder.putImage(generation, imageAt(IMAGE_TIME));
    await builder.putHead(generation);
    const store = await builder.putReplica(1n, SMALL);
    return new PlantedServer(scene, { store, builder, image });
  }
}

export const imageAt = (time: bigint, more: Partial<ImageSample> = {}): ImageSample => ({
  time,
  files: { 'metadata.toml': { content: 'a' }, 'control-db/conf': { content: 'b'.repeat(1000) } },
  directories: ['control-db'],
  programs: ['p'],
  replicas: [1n],
  ...more,
});

/** A log object's name with its time so much later, or earlier. */
export const withTime = (key: string, byMicros: bigint): string =>
  key.replace(/\d{8}T\d{6}\.\d{6}Z/, (text) => formatKeyTime(micros((parseKeyTime(text) ?? 0n) + byMicros)));

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield await Promise.resolve(bytes);
}
