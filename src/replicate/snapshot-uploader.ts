/**
 * Stores the newest complete snapshot of the local directory once the log that it belongs to is stored.
 *
 * Invariants: every object is proven by its hash before it is put; the manifest comes last, after the commit that holds
 * the snapshot's transaction is stored in this line, and after a last look that the directory still stands: a server
 * renames the snapshots of a history that it lost before it writes on.
 */
import { readCommitAsSegment } from '../capture/commit-as-segment.ts';
import type { LogSource } from '../capture/log-source.ts';
import type { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError, LocalFileError, type ReplicateError, SourceDivergedError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { mapAhead } from '../core/map-ahead.ts';
import type { Micros, TxOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import { manifestKey } from '../layout/keys.ts';
import type { PackPlace } from '../layout/manifest.ts';
import { decodeManifest, encodeManifest } from '../layout/manifest-stream.ts';
import { advanceTime } from '../layout/time.ts';
import { ObjectNotFoundError, PreconditionFailedError, type ReplicaClient } from '../replica/replica-client.ts';
import { listObjects, type Snapshot } from '../spacetimedb/snapshot-file.ts';
import {
  isSnapshotUnchanged,
  readSnapshotFile,
  readSnapshotObject,
  type SnapshotEntry,
  unlockedSnapshots,
} from '../spacetimedb/snapshots.ts';
import type { HeadLease } from './head-lease.ts';
import { SnapshotIndex } from './snapshot-index.ts';
import { isOfOneSnapshot } from './one-snapshot.ts';
import { SnapshotDirectory } from './snapshot-directory.ts';
import { manifestHeader, OWN_COMMIT, type PackedSnapshot, packLines, SNAPSHOT_FILE } from './snapshot-manifest.ts';
import { SnapshotPacker } from './snapshot-packer.ts';
import type { ListedSnapshots } from './take-head.ts';
import { findNewestSnapshot, type StoredSnapshot } from './stored-snapshots.ts';
import { UnusableSnapshots } from './unusable-snapshots.ts';

const READS_AHEAD = 3;
/** A commit above this is not stored with its snapshot; the snapshot then serves later points only. */
const OWN_COMMIT_BYTES_MAX = 64 * 1024 * 1024;

export interface SnapshotUploaderOptions {
  readonly client: ReplicaClient;
  readonly source: LogSource;
  /** The `snapshots` directory. */
  readonly directory: string;
  readonly generation: GenerationDocument;
  /** The first transaction of a line that begins by itself, where known: snapshots that it does not join are no use. */
  readonly lineStart?: TxOffset | null;
  readonly listed: ListedSnapshots;
  readonly lease: HeadLease;
  readonly budget: ByteBudget;
  readonly compressionLevel: number;
  readonly log: Log;
  /** The stored position now. */
  readonly stored: () => HeadPosition | null;
  /** The greatest known time in the line up to a transaction. */
  readonly timeUpTo: (tx: TxOffset) => Micros;
  readonly onStored: (snapshot: StoredSnapshotFacts) => void;
  readonly onPack: (bytes: number) => void;
  /** Told of the newest snapshot that the line had before this writer. */
  readonly onNewest: (tx: TxOffset | null) => void;
}

export interface StoredSnapshotFacts {
  readonly tx: TxOffset;
  readonly objects: number;
  readonly newObjects: number;
  readonly plainBytes: number;
}

interface UploadOptions {
  readonly isNewest: boolean;
  readonly signal: AbortSignal;
}

/** A directory by its inode: a server may take another snapshot at the same transaction. */
const nameOf = ({ tx, inode }: SnapshotEntry): string => `${tx}/${inode}`;

export class SnapshotUploader {
  readonly #options: SnapshotUploaderOptions;
  readonly #directory: SnapshotDirectory;
  readonly #index = new SnapshotIndex();
  /** Of the line; null until it has been looked for, once, and while there is none. */
  #newest: StoredSnapshot | null = null;
  #looked = false;
  #indexed = false;
  /** Snapshots that turned out to be damaged or unreadable, by their directory: said, and passed over. */
  readonly #unusable = new UnusableSnapshots();
  #failure: { readonly tx: TxOffset; readonly error: ReplicateError } | null = null;
  /** The database's; where the generation began before there was a snapshot, that of its newest stored one. */
  #identity: string | null;

  constructor(options: SnapshotUploaderOptions) {
    const { source, directory, log } = options;
    this.#options = options;
    this.#directory = new SnapshotDirectory({ files: source.files, directory, log });
    this.#identity = options.generation.databaseIdentity;
  }

  /** Why a snapshot newer than the newest stored one, or whichever there are, could not be stored; null: none failed. */
  get failure(): ReplicateError | null {
    return this.#directory.unlisted ?? this.#failure?.error ?? null;
  }

  /**
   * Stores the newest complete snapshot that the stored log reaches and that is newer than the newest stored one.
   *
   * @returns whether one had to be left for later: its commit is not yet stored, or it changed meanwhile
   */
  async upload({ signal }: { signal: AbortSignal }): Promise<{ pending: boolean }> {
    const { client, generation, listed: atStart, stored, lineStart } = this.#options;
    this.#unusable.beginPass();
    const listing = await this.#directory.list();
    if (listing === 'unlisted') return { pending: true };
    if (listing === 'settled') return { pending: false };
    const { names, entries: whole } = listing;
    const entries = whole.filter((entry) => !this.#unusable.has(nameOf(entry)) && entry.tx >= (lineStart ?? 0n) - 1n);
    // One beyond the stored log waits for it. A server renames those that its log never reaches.
    const candidate = entries.find(({ tx }) => tx <= (stored()?.tx ?? -1n));
    if (candidate !== undefined) {
      if (!this.#looked) {
        this.#newest = await findNewestSnapshot(client, generation, { listed: atStart, signal });
        this.#options.onNewest(this.#newest?.tx ?? null);
      }
      this.#looked = true;
      if (this.#newest === null || candidate.tx > this.#newest.tx) {
        await this.#loadIndex(signal);
        const isNewest = candidate === entries[0];
        if (!(await this.#uploadGuarded(candidate, { isNewest, signal }))) return { pending: true };
      }
    }
    if (candidate !== entries[0] || this.#unusable.isWaiting) return { pending: true };
    // One that was copied in has no lock while it is not whole: its file comes without a new name here.
    if (whole.length < unlockedSnapshots(names).length) return { pending: false };
    this.#directory.settle(listing);
    return { pending: false };
  }

  /** Learns what is stored already from the newest manifest, once: what is stored later is added as it comes. */
  async #loadIndex(signal: AbortSignal): Promise<void> {
    const newest = this.#newest;
    if (this.#indexed || newest === null) return;
    this.#indexed = true;
    const key = manifestKey(newest.generation, newest.tx);
    try {
      const object = await this.#options.client.get(key, { signal });
      await using manifest = await decodeManifest(object.body, { key, size: object.size, signal });
      this.#identity ??= manifest.header.databaseIdentity;
      for await (const { pack, bytes, objects } of manifest.packs) {
        this.#index.addPack({ pack, bytes });
        for (const { hash, ...place } of objects) this.#index.addObject(hash, { pack, ...place });
      }
    } catch (error) {
      if (!(error instanceof CorruptionError) && !(error instanceof ObjectNotFoundError)) throw error;
      // What it named before the damage is not proven to be what the snapshot had.
      this.#index.clear();
      this.#options.log.warn(`${key} cannot be read; the next snapshot is stored whole`, { key, error });
    }
  }

  /** False when it has to be tried again. One that cannot be stored is reported and passed over: the log goes on. */
  async #uploadGuarded(entry: SnapshotEntry, options: UploadOptions): Promise<boolean> {
    try {
      return await this.#uploadSnapshot(entry, options);
    } catch (error) {
      if (!isOfOneSnapshot(error)) throw error;
      // Half there when it was read: its lock came after the listing of names.
      if (!(await this.#directory.stillStands(entry))) return false;
      this.#unusable.add(nameOf(entry), { tx: entry.tx, isDamaged: !(error instanceof LocalFileError) });
      this.#failure = this.#failure !== null && this.#failure.tx > entry.tx ? this.#failure : { tx: entry.tx, error };
      this.#options.log.error(`snapshot ${entry.tx} cannot be backed up: ${error.message}`, {
        directory: entry.directory,
        code: error.code,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
      return false;
    }
  }

  async #uploadSnapshot(entry: SnapshotEntry, { isNewest, signal }: UploadOptions): Promise<boolean> {
    const { source, generation, stored, lease, log, timeUpTo, compressionLevel } = this.#options;
    const position = stored();
    if (position === null || position.tx < entry.tx) return false;
    const read = await readSnapshotFile(source.files, entry);
    if (read === null) return false;
    this.#requireIdentity(read.snapshot, { isNewest });
    const commit = await readCommitAsSegment(source, entry.tx, { commitBytesMax: OWN_COMMIT_BYTES_MAX });
    if (commit !== null && commit.position.tx > position.tx) return false;
    if (commit === null)
      log.warn(`the log no longer holds the commit of snapshot ${entry.tx}; it serves later points only`);

    const packed = await this.#pack(entry, { read, commit: commit?.bytes ?? null, signal });
    if (!(await isSnapshotUnchanged(source.files, entry))) return false;
    if (packed === null) {
      throw new CorruptionError(`${entry.directory} lacks an object that its snapshot file names`, {
        hint: 'Check the disk. The log is backed up, and the next snapshot that is whole will be.',
        facts: { directory: entry.directory, tx: entry.tx },
      });
    }
    await lease.renew(stored(), { signal });
    const time = advanceTime(timeUpTo(entry.tx), commit?.time ?? null);
    const packs = packLines(packed, { packBytes: (pack) => this.#index.packBytes(pack) });
    const header = manifestHeader(read.snapshot, { packed, time, packs: packs.length });
    const body = encodeManifest({ header, packs }, { level: compressionLevel, signal });
    const parts: Uint8Array[] = [];
    for await (const part of body) parts.push(part);
    await this.#putManifest(manifestKey(generation.generation, entry.tx), parts, signal);
    this.#newest = { generation: generation.generation, tx: entry.tx };
    this.#identity = read.snapshot.databaseIdentity;
    if (this.#failure !== null && this.#failure.tx <= entry.tx) this.#failure = null;
    this.#unusable.stored(entry.tx);
    this.#indexed = true;
    this.#index.keepOnly(packed.places);
    const { objects, plainBytes } = header;
    this.#options.onStored({ tx: entry.tx, objects, newObjects: packed.newObjects, plainBytes });
    return true;
  }

  async #putManifest(key: string, parts: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const { client, lease } = this.#options;
    try {
      await client.put(key, parts, { ifAbsent: lease.mode === 'exclusive', signal });
    } catch (error) {
      // Written by this generation before, and whole: manifests are never changed.
      if (!(error instanceof PreconditionFailedError)) throw error;
    }
  }

  /** Null when an object is not there: the directory is being replaced or removed, or was never whole. */
  async #pack(
    entry: SnapshotEntry,
    {
      read,
      commit,
      signal,
    }: { read: { snapshot: Snapshot; bytes: Uint8Array }; commit: Uint8Array | null; signal: AbortSignal },
  ): Promise<PackedSnapshot | null> {
    const { source, budget } = this.#options;
    const objects = listObjects(read.snapshot);
    const places = this.#index.reusable(objects.map(({ hash }) => hash));
    const missing = objects.filter(({ hash }) => !places.has(hash));
    const packer = this.#newPacker(places, signal);
    const plainBytesMax = Math.floor(budget.bytesMax / 2);
    try {
      const load = (object: (typeof objects)[number]): Promise<Uint8Array | null> =>
        readSnapshotObject(source.files, entry, object, { plainBytesMax });
      let next = 0;
      for await (const plain of mapAhead(missing, load, { ahead: READS_AHEAD, signal })) {
        const object = missing[next];
        next += 1;
        if (plain === null || object === undefined) return null;
        await packer.add(object.hash, plain);
      }
      await packer.add(SNAPSHOT_FILE, read.bytes);
      if (commit !== null) await packer.add(OWN_COMMIT, commit);
      await packer.end();
    } finally {
      await packer.abandon();
    }
    return { objects: objects.map(({ hash }) => hash), places, newObjects: missing.length };
  }

  #newPacker(places: Map<string, PackPlace>, signal: AbortSignal): SnapshotPacker {
    const { client, budget, compressionLevel, lease, stored, onPack } = this.#options;
    return new SnapshotPacker({
      client,
      budget,
      compressionLevel,
      ensureLease: () => lease.ensureFresh(stored(), { signal }),
      onPack: ({ pack, packBytes, objects }) => {
        onPack(packBytes);
        this.#index.addPack({ pack, bytes: packBytes });
        for (const { hash, place } of objects) {
          places.set(hash, place);
          if (hash !== SNAPSHOT_FILE && hash !== OWN_COMMIT) this.#index.addObject(hash, place);
        }
      },
      signal,
    });
  }

  /** The newest one says which database this is; an older one that says otherwise is a remnant. */
  #requireIdentity({ databaseIdentity, txOffset }: Snapshot, { isNewest }: { isNewest: boolean }): void {
    const expected = this.#identity;
    if (expected === null || expected === databaseIdentity) return;
    const message = `snapshot ${txOffset} is of database ${databaseIdentity}, but this backup is of database ${expected}`;
    if (!isNewest) throw new CorruptionError(message, { hint: 'Remove it, if it was left by another database.' });
    throw new SourceDivergedError(message, {
      hint: 'The directory was given to another database.',
      facts: { storedIdentity: expected },
    });
  }
}
