/**
 * Writes one snapshot as a server would have it: every object that the snapshot file names, and no other, each proven
 * by its hash and uncompressed; the snapshot file last.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from '../core/atomic-file.ts';
import { CorruptionError, localFileError } from '../core/errors.ts';
import { decodeManifest } from '../layout/manifest-stream.ts';
import type { ManifestHeader, PackedObject } from '../layout/manifest.ts';
import { unpackObject } from '../layout/pack.ts';
import {
  formatObjectPath,
  formatSnapshotDirName,
  formatSnapshotFileName,
  OBJECTS_DIR,
} from '../spacetimedb/file-names.ts';
import { checkObject } from '../spacetimedb/page.ts';
import { decodeSnapshotFile, listObjects, type SnapshotObject } from '../spacetimedb/snapshot-file.ts';
import { concurrently } from './concurrently.ts';
import { type FetchedPart, type FetchOptions, fetchParts } from './fetch-parts.ts';
import { giveBack } from './give-back.ts';
import { PartBuffers } from './part-buffers.ts';
import { partCount, PartStream, partsOf } from './part-stream.ts';
import type { PlannedSnapshot } from './plan-types.ts';
import { checkFits, checkManifestTx, readPlace } from './read-snapshot.ts';
import { reuseObjects } from './reuse-objects.ts';
import { planRuns, type SnapshotRun, UNPACK_PARALLELISM } from './snapshot-runs.ts';
import { StagedFile } from './staged-file.ts';
import type { TargetSystem } from './target-system.ts';
import { SYNC_PARALLELISM, UnsyncedFiles } from './unsynced-files.ts';

const MANIFEST_PART_BYTES = 512 * 1024;

export interface WriteSnapshotOptions {
  readonly snapshot: PlannedSnapshot;
  /** What the generation says; null where it does not know. */
  readonly databaseIdentity: string | null;
  readonly snapshotsDir: string;
  readonly system: TargetSystem;
  readonly fetch: FetchOptions;
  readonly partBytes: number;
  readonly onObject: (plainBytes: number) => void;
  /** Use what is there of an earlier attempt, as far as its hashes prove it. */
  readonly goesOn?: boolean;
}

export interface WrittenSnapshot {
  readonly plainBytes: number;
  /** Of these, what was there from an earlier attempt. */
  readonly reusedBytes: number;
}

/** @throws CorruptionError, ObjectNotFoundError, UnsupportedFormatError: then this snapshot is of no use */
export async function writeSnapshot(options: WriteSnapshotOptions): Promise<WrittenSnapshot> {
  const { snapshot, snapshotsDir, system, fetch, partBytes, onObject, goesOn = false } = options;
  const { manifestKey: key, manifestBytes: size, tx } = snapshot;
  const directory = join(snapshotsDir, formatSnapshotDirName(tx));
  await makeDirectory(join(directory, OBJECTS_DIR));

  // One small part at a time: the manifest is read while the objects that it names are fetched from the same budget.
  const manifestPartBytes = Math.min(partBytes, MANIFEST_PART_BYTES);
  const parts = partsOf({ key, size }, manifestPartBytes);
  await using stream = new PartStream(fetchParts(parts, { ...fetch, parallelism: 1 }));
  const body = stream.next(partCount({ key, size }, manifestPartBytes));
  await using manifest = await decodeManifest(body, { key, size, signal: fetch.signal });
  checkManifestTx(manifest.header, { tx, key });

  const { fileBytes, objects } = await readSnapshotFile(manifest.header, options);
  const wanted = new Map(objects.map(({ hash, kind }) => [hash, kind]));
  const present = goesOn ? await reuseObjects(directory, { wanted, fetch }) : new Set<string>();
  let reusedBytes = 0;
  const isPresent = ({ hash, plainLength }: PackedObject): boolean => {
    if (!present.has(hash)) return false;
    reusedBytes += plainLength;
    onObject(plainLength);
    return true;
  };
  await using unsynced = new UnsyncedFiles();
  const writer = new ObjectWriter(directory, { ...options, unsynced });
  using buffers = new PartBuffers(partBytes);
  const runs = checkedRuns(planRuns(manifest.packs, { partBytes, wanted, isPresent, manifestKey: key }), fetch);
  for await (using run of fetchParts(runs, { ...fetch, buffers })) await writer.writeRun(run);
  const [missing] = wanted.keys();
  if (missing !== undefined) {
    throw new CorruptionError(
      `the manifest ${key} does not name ${wanted.size} objects of its snapshot, as ${missing}`,
      {
        facts: { key, hash: missing },
      },
    );
  }

  await unsynced.finish();
  // What an earlier attempt wrote may not be durable yet.
  await syncFiles(Array.from(present, (hash) => join(directory, formatObjectPath(hash))));
  const directories = new Set(objects.map(({ hash }) => dirname(join(directory, formatObjectPath(hash)))));
  await concurrently([...directories, join(directory, OBJECTS_DIR)], fsyncDirectory, { limit: SYNC_PARALLELISM });
  const plainBytes = reusedBytes + writer.plainBytes + fileBytes.byteLength;
  await using file = await StagedFile.create(join(directory, formatSnapshotFileName(tx)), system);
  await file.write(fileBytes);
  await file.finish();
  await fsyncDirectory(directory);
  await fsyncDirectory(snapshotsDir);
  return { plainBytes, reusedBytes };
}

async function readSnapshotFile(
  header: ManifestHeader,
  { snapshot, databaseIdentity, fetch }: WriteSnapshotOptions,
): Promise<{ fileBytes: Uint8Array; objects: SnapshotObject[] }> {
  const { manifestKey: key, tx } = snapshot;
  const fileBytes = await readPlace(header.snapshotFile, fetch);
  const decoded = decodeSnapshotFile(fileBytes, { path: `the snapshot file of ${key}` });
  const identity = decoded.databaseIdentity;
  const fits = decoded.txOffset === tx && identity === header.databaseIdentity;
  if (fits && (databaseIdentity === null || identity === databaseIdentity)) {
    return { fileBytes, objects: listObjects(decoded) };
  }
  throw new CorruptionError(`the snapshot file of ${key} is that of database ${identity} at ${decoded.txOffset}`, {
    facts: { key, tx, databaseIdentity: identity },
  });
}

async function* checkedRuns(
  runs: AsyncIterable<SnapshotRun>,
  fetch: FetchOptions,
): AsyncGenerator<SnapshotRun, void, void> {
  for await (const run of runs) {
    const { key, start, endExclusive, extraBytes = 0 } = run;
    if (run.objects.length === 1) checkFits({ length: endExclusive - start, plainLength: extraBytes }, { key, fetch });
    yield run;
  }
}

interface ObjectWriterOptions extends WriteSnapshotOptions {
  readonly unsynced: UnsyncedFiles;
}

class ObjectWriter {
  readonly #directory: string;
  readonly #options: ObjectWriterOptions;
  /** Directories of two hex digits, by path: each is made once. */
  readonly #made = new Map<string, Promise<void>>();
  plainBytes = 0;

  constructor(directory: string, options: ObjectWriterOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  async writeRun({ part, bytes }: FetchedPart<SnapshotRun>): Promise<void> {
    await concurrently(
      part.objects,
      async (object) => {
        const at = object.offset - part.start;
        const plain = await unpackObject(bytes.subarray(at, at + object.length), object, { key: part.key });
        checkObject({ kind: object.kind, hash: object.hash, bytes: plain });
        await this.#writeObject(object.hash, plain);
      },
      { limit: UNPACK_PARALLELISM },
    );
  }

  async #writeObject(hash: string, plain: Uint8Array): Promise<void> {
    const path = join(this.#directory, formatObjectPath(hash));
    await this.#makeOnce(dirname(path));
    const handle = await this.#writeFile(path, plain);
    const { byteLength } = plain;
    giveBack(plain);
    await this.#options.unsynced.add({ path, handle });
    this.plainBytes += byteLength;
    this.#options.onObject(byteLength);
  }

  async #writeFile(path: string, plain: Uint8Array): Promise<FileHandle> {
    try {
      const handle = await this.#options.system.createFile(path);
      try {
        await handle.writeFile(plain);
        return handle;
      } catch (error) {
        // That it cannot even be closed must not hide why.
        await handle.close().catch(() => {});
        throw error;
      }
    } catch (error) {
      throw localFileError('write', path, error);
    }
  }

  #makeOnce(directory: string): Promise<void> {
    const made = this.#made.get(directory) ?? makeDirectory(directory);
    this.#made.set(directory, made);
    return made;
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw localFileError('create', path, error);
  }
}

async function syncFiles(paths: readonly string[]): Promise<void> {
  const sync = async (path: string): Promise<void> => {
    try {
      await using file = await open(path, 'r');
      await file.sync();
    } catch (error) {
      throw localFileError('write', path, error);
    }
  };
  await concurrently(paths, sync, { limit: SYNC_PARALLELISM });
}
