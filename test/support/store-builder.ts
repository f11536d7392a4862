/**
 * Builds a backup straight from a replica directory with the layout's encoders: objects cut wherever a test wants them,
 * generations with parents, snapshots. What a writer would do in time, a test does in one call.
 */
import { join } from 'node:path';
import { diskFiles } from '../../src/core/readable-files.ts';
import { type Crc32c, crc32cValue, micros, type Position, txOffset } from '../../src/core/types.ts';
import { encodeFormatDocument } from '../../src/layout/format-document.ts';
import { encodeGenerationDocument, type GenerationReason } from '../../src/layout/generation-document.ts';
import { encodeHeadDocument } from '../../src/layout/head-document.ts';
import {
  FORMAT_KEY,
  type GenerationName,
  generationKey,
  HEAD_KEY,
  logObjectKey,
  makeGenerationName,
  manifestKey,
  packKey,
} from '../../src/layout/keys.ts';
import { encodeLogObject } from '../../src/layout/log-object.ts';
import type { ManifestHeader, PackedObject, PackPlace } from '../../src/layout/manifest.ts';
import { encodeManifest } from '../../src/layout/manifest-stream.ts';
import { type ObjectPlace, PackBuilder } from '../../src/layout/pack.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { SNAPSHOTS_DIR } from '../../src/spacetimedb/file-names.ts';
import { listObjects } from '../../src/spacetimedb/snapshot-file.ts';
import { listSnapshots, readSnapshotFile, readSnapshotObject } from '../../src/spacetimedb/snapshots.ts';
import { collect } from './pieces.ts';
import { type RecordedCommit, readRecordedLog } from './recorded-log.ts';

const FRAME_BYTES = 256 * 1024;
const OBJECT_BYTES_MAX = 64 * 1024 * 1024;

export interface GenerationOptions {
  readonly number: number;
  readonly parent?: { readonly generation: GenerationName; readonly position: Position } | null;
  readonly reason?: GenerationReason;
  readonly databaseIdentity?: string | null;
}

export interface LogOptions {
  /** The commits to store, contiguous. */
  readonly commits: readonly RecordedCommit[];
  /** An object ends after so many commits, and where a segment ends. Default: only there. */
  readonly commitsPerObject?: number;
  readonly level?: number;
  /** Frames end where commits do, as a writer cuts them; else wherever 256 KiB end. */
  readonly alignedFrames?: boolean;
  /** `prev` of the first object; default: the recorded one. 0 where a parentless generation begins. */
  readonly prev?: Crc32c;
}

export interface SnapshotOptions {
  readonly replicaDir: string;
  readonly tx: bigint;
  /** The commit that holds `tx`; null where the log no longer has it. */
  readonly commit: RecordedCommit | null;
  /** A new pack after so many objects. */
  readonly objectsPerPack?: number;
}

export const positionOf = (commit: RecordedCommit): Position => ({ tx: commit.last, crc: commit.crc });

export class StoreBuilder {
  readonly client: ReplicaClient;

  constructor(client: ReplicaClient) {
    this.client = client;
  }

  async putFormat(): Promise<void> {
    await this.client.put(FORMAT_KEY, encodeFormatDocument({ kind: 'database' }));
  }

  async putGeneration({ number, parent = null, ...rest }: GenerationOptions): Promise<GenerationName> {
    const generation = makeGenerationName(number, number.toString(16).padStart(8, '0'));
    const document = encodeGenerationDocument({
      generation,
      databaseIdentity: rest.databaseIdentity ?? null,
      replicaId: null,
      createdAt: micros(1_700_000_000_000_000n),
      reason: rest.reason ?? (parent === null ? 'first' : 'takeover'),
      parent,
      writer: { owner: 'test', host: 'test', version: '0' },
    });
    await this.client.put(generationKey(generation), document);
    return generation;
  }

  async putHead(generation: GenerationName, last: RecordedCommit | null): Promise<void> {
    const at = micros(1_700_000_000_000_000n);
    const head = encodeHeadDocument({
      generation,
      owner: 'test',
      session: 'test',
      process: { machineId: null, bootId: null, pidNamespace: null, pid: 1, startTime: null, host: 'test' },
      acquiredAt: at,
      renewedAt: at,
      ttlMs: 60_000,
      position: last && { ...positionOf(last), segment: last.segment, time: last.time },
      released: true,
    });
    await this.client.put(HEAD_KEY, head);
  }

  /** The keys of the objects, in order. */
  async putLog(generation: GenerationName, options: LogOptions): Promise<string[]> {
    const { commits, commitsPerObject = Number.POSITIVE_INFINITY } = options;
    const keys: string[] = [];
    let some: RecordedCommit[] = [];
    for (const [index, commit] of commits.entries()) {
      some.push(commit);
      const next = commits[index + 1];
      if (next?.segment === commit.segment && some.length < commitsPerObject) continue;
      const prev = keys.length === 0 ? options.prev : undefined;
      const { level = 0, alignedFrames = false } = options;
      keys.push(await this.#putObject(generation, some, { level, prev, alignedFrames }));
      some = [];
    }
    return keys;
  }

  async #putObject(
    generation: GenerationName,
    commits: readonly RecordedCommit[],
    { level, prev, alignedFrames }: { level: number; prev: Crc32c | undefined; alignedFrames: boolean },
  ): Promise<string> {
    const first = commits[0] as RecordedCommit;
    const last = commits.at(-1) as RecordedCommit;
    const key = logObjectKey({
      generation,
      level,
      segment: first.segment,
      first: first.first,
      last: last.last,
      time: last.time,
      prev: prev ?? first.prev,
      crc: last.crc,
    });
    const parts = [first.header, ...commits.map(({ bytes }) => bytes)];
    const frames = alignedFrames ? gather(parts) : chunks(Buffer.concat(parts));
    const body = await collect(encodeLogObject(frames, { level: 1 }));
    await this.client.put(key, body);
    return key;
  }

  /** The manifest's key. */
  async putSnapshot(generation: GenerationName, options: SnapshotOptions): Promise<string> {
    const { replicaDir, tx, commit, objectsPerPack = 1000 } = options;
    const entry = (await listSnapshots(diskFiles, join(replicaDir, SNAPSHOTS_DIR))).find((one) => one.tx === tx);
    const read = entry && (await readSnapshotFile(diskFiles, entry));
    if (!entry || !read) throw new Error(`no snapshot at ${tx} in ${replicaDir}`);
    const packs: { pack: string; bytes: number; objects: PackedObject[] }[] = [];
    const objects = listObjects(read.snapshot);
    let plainBytes = 0;
    for (let at = 0; at < objects.length; at += objectsPerPack) {
      const pack = new PackBuilder({ level: 1 });
      const placed: PackedObject[] = [];
      for (const object of objects.slice(at, at + objectsPerPack)) {
        const plain = await readSnapshotObject(diskFiles, entry, object, { plainBytesMax: OBJECT_BYTES_MAX });
        if (plain === null) throw new Error(`no object ${object.hash}`);
        plainBytes += plain.byteLength;
        placed.push({ hash: object.hash, ...(await pack.add(plain)) });
      }
      const { hash, bytes } = await this.#putPack(pack);
      packs.push({ pack: hash, bytes, objects: placed });
    }
    const meta = new PackBuilder({ level: 1 });
    const file = await meta.add(read.bytes);
    const segment = commit && (await meta.add(Buffer.concat([commit.header, commit.bytes])));
    const { hash, bytes } = await this.#putPack(meta);
    packs.push({ pack: hash, bytes, objects: [] });
    const place = (at: ObjectPlace): PackPlace => ({ pack: hash, ...at });
    const header: ManifestHeader = {
      databaseIdentity: read.snapshot.databaseIdentity,
      replicaId: read.snapshot.replicaId,
      tx: txOffset(tx),
      time: commit?.time ?? micros(0n),
      snapshotFile: place(file),
      commit: segment && place(segment),
      objects: objects.length,
      plainBytes,
      packs: packs.length,
    };
    const key = manifestKey(generation, header.tx);
    await this.client.put(key, await collect(encodeManifest({ header, packs }, { level: 1 })));
    return key;
  }

  async #putPack(pack: PackBuilder): Promise<{ hash: string; bytes: number }> {
    const { hash, bytes, parts } = await pack.finish();
    await this.client.put(packKey(hash), parts);
    return { hash, bytes };
  }
}

function* chunks(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.byteLength; at += FRAME_BYTES) yield bytes.subarray(at, at + FRAME_BYTES);
}

/** Whole parts, as many as a frame takes; a longer one fills several. */
function* gather(parts: readonly Uint8Array[]): Generator<Uint8Array, void, void> {
  let some: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (bytes > 0 && bytes + part.byteLength > FRAME_BYTES) {
      yield* chunks(Buffer.concat(some));
      some = [];
      bytes = 0;
    }
    some.push(part);
    bytes += part.byteLength;
  }
  yield* chunks(Buffer.concat(some));
}

export interface SimpleStore {
  readonly builder: StoreBuilder;
  readonly generation: GenerationName;
  readonly commits: readonly RecordedCommit[];
  readonly logKeys: readonly string[];
}

export interface SimpleStoreOptions {
  readonly client: ReplicaClient;
  readonly replicaDir: string;
  readonly commitsPerObject?: number;
  /** Which snapshots to store; default: all that are there. */
  readonly snapshots?: readonly bigint[];
}

/** One parentless generation with everything that the directory holds, and a released head. */
export async function buildSimpleStore(options: SimpleStoreOptions): Promise<SimpleStore> {
  const { client, replicaDir, commitsPerObject = 40 } = options;
  const builder = new StoreBuilder(client);
  const commits = await readRecordedLog(replicaDir);
  const last = commits.at(-1) ?? null;
  await builder.putFormat();
  const generation = await builder.putGeneration({ number: 1 });
  const logKeys = await builder.putLog(generation, { commits, commitsPerObject, prev: crc32cValue(0) });
  const there = (await listSnapshots(diskFiles, join(replicaDir, SNAPSHOTS_DIR))).map(({ tx }) => tx);
  for (const tx of options.snapshots ?? there) {
    const commit = commits.find((one) => one.first <= tx && tx <= one.last) ?? null;
    await builder.putSnapshot(generation, { replicaDir, tx, commit });
  }
  await builder.putHead(generation, last);
  return { builder, generation, commits, logKeys };
}

/** The commits that hold transactions `from` to `to`. */
export const commitsBetween = (
  commits: readonly RecordedCommit[],
  from: bigint,
  to: bigint,
): readonly RecordedCommit[] => commits.filter(({ first, last }) => last >= from && first <= to);
