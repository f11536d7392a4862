/** A backup whose snapshot has blobs of any size, and nothing else: no server writes one so in a test's time. */
import { blake3Hex } from '../../src/core/checksum.ts';
import { crc32cValue, micros, txOffset } from '../../src/core/types.ts';
import { type GenerationName, manifestKey, packKey } from '../../src/layout/keys.ts';
import { encodeManifest } from '../../src/layout/manifest-stream.ts';
import { PackBuilder } from '../../src/layout/pack.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { encodeSnapshotFile } from '../../src/spacetimedb/snapshot-file.ts';
import type { RecordedCommit } from './recorded-log.ts';
import { StoreBuilder } from './store-builder.ts';

const IDENTITY = 'ab'.repeat(32);

export interface BlobStore {
  readonly generation: GenerationName;
  /** Keys of the packs: one for each blob, then that of the snapshot file. */
  readonly packs: readonly string[];
}

export interface BlobStoreOptions {
  readonly client: ReplicaClient;
  /** Of one segment, from offset 0; the snapshot is taken at the first one. */
  readonly commits: readonly RecordedCommit[];
  /** In the order of their packs. */
  readonly blobs: readonly Uint8Array[];
  /** zstd's. */
  readonly level?: number;
  /** What the manifest and the snapshot call a blob; default: its hash. */
  readonly hashOf?: (blob: Uint8Array) => string;
}

export async function buildBlobStore(options: BlobStoreOptions): Promise<BlobStore> {
  const { client, commits, blobs, level = 1, hashOf = blake3Hex } = options;
  const builder = new StoreBuilder(client);
  await builder.putFormat();
  const generation = await builder.putGeneration({ number: 1 });
  await builder.putLog(generation, { commits, prev: crc32cValue(0) });
  await builder.putHead(generation, commits.at(-1) ?? null);
  const packs: {
    pack: string;
    bytes: number;
    objects: { hash: string; offset: number; length: number; plainLength: number }[];
  }[] = [];
  const put = async (pack: PackBuilder): Promise<{ pack: string; bytes: number }> => {
    const { hash, bytes, parts } = await pack.finish();
    await client.put(packKey(hash), parts);
    return { pack: hash, bytes };
  };
  for (const blob of blobs) {
    const pack = new PackBuilder({ level });
    const place = await pack.add(blob);
    packs.push({ ...(await put(pack)), objects: [{ hash: hashOf(blob), ...place }] });
  }
  const tx = commits[0]?.last ?? txOffset(0n);
  const file = encodeSnapshotFile({
    databaseIdentity: IDENTITY,
    replicaId: 1n,
    txOffset: tx,
    moduleAbiVersion: [10, 0],
    blobs: blobs.map((blob) => ({ hash: hashOf(blob), uses: 1 })),
    tables: [],
  });
  const meta = new PackBuilder({ level });
  const place = await meta.add(file);
  const last = await put(meta);
  packs.push({ ...last, objects: [] });
  const header = {
    databaseIdentity: IDENTITY,
    replicaId: 1n,
    tx,
    time: micros(1n),
    snapshotFile: { pack: last.pack, ...place },
    commit: null,
    objects: blobs.length,
    plainBytes: blobs.reduce((sum, blob) => sum + blob.byteLength, 0),
    packs: packs.length,
  };
  const parts: Uint8Array[] = [];
  for await (const part of encodeManifest({ header, packs }, { level: 1 })) parts.push(part);
  await client.put(manifestKey(generation, tx), Buffer.concat(parts));
  return { generation, packs: packs.map(({ pack }) => packKey(pack)) };
}
