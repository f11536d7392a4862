/**
 * Invariant: only snapshots that may be complete are listed; all that is read of one is proven by its hash, whether the
 * server has compressed it or not, also between two calls; what is gone is null.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  copyVector,
  DAMAGES,
  type ExpectedSnapshot,
  readExpectation,
  readServerExpectation,
  vectorDirectory,
} from '../../test/vectors/vectors.ts';
import { blake3Hex } from '../core/checksum.ts';
import { CorruptionError, LocalFileError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { formatObjectPath } from './file-names.ts';
import { listObjects, type SnapshotObject } from './snapshot-file.ts';
import {
  isSnapshotUnchanged,
  listSnapshots,
  readSnapshotFile,
  readSnapshotObject,
  type SnapshotEntry,
} from './snapshots.ts';

const OBJECT_BYTES_MAX = 4 * 1024 * 1024;

async function requireObject(entry: SnapshotEntry, object: SnapshotObject): Promise<Uint8Array> {
  const bytes = await readSnapshotObject(diskFiles, entry, object, { plainBytesMax: OBJECT_BYTES_MAX });
  if (bytes === null) throw new Error(`${object.hash} is gone`);
  return bytes;
}

/** What SpacetimeDB's own crates say of a snapshot, recomputed. `bytes` is of the files as they are. */
async function describeSnapshot(entry: SnapshotEntry) {
  const file = await readSnapshotFile(diskFiles, entry);
  if (file === null) throw new Error(`${entry.directory} is gone`);
  const objects = listObjects(file.snapshot);
  for (const object of objects) await requireObject(entry, object);
  return {
    blobs: objects.filter(({ kind }) => kind === 'blob').length,
    pages: objects.filter(({ kind }) => kind === 'page').length,
    absent_pages: file.snapshot.tables.flatMap(({ pages }) => pages).filter((page) => page === null).length,
    identity: file.snapshot.databaseIdentity,
    replica_id: Number(file.snapshot.replicaId),
    tx: Number(entry.tx),
  };
}

async function expectSnapshots(directory: string, expected: readonly ExpectedSnapshot[]): Promise<void> {
  const entries = await listSnapshots(diskFiles, join(directory, 'snapshots'));
  const found = await Promise.all([...entries].reverse().map(describeSnapshot));
  const verified = expected.filter((snapshot) => snapshot.verified);
  expect(found).toEqual(
    verified.map(({ blobs, pages, absent_pages, identity, replica_id, tx }) => ({
      blobs,
      pages,
      absent_pages,
      identity,
      replica_id,
      tx,
    })),
  );
}

describe('real snapshots are read and proven', () => {
  const sets = [
    'v1.2',
    'v2-small',
    'v2-compressed',
    'v2-batched/v1',
    'v2-batched/v0',
    'v2-batched/v0-last-too',
  ] as const;

  test.each(sets)('%s', (name) => expectSnapshots(vectorDirectory(name), readExpectation(name).snapshots));

  test.each(DAMAGES)('v2-damaged/%s', (damage) => {
    const name = `v2-damaged/${damage}` as const;
    return expectSnapshots(vectorDirectory(name), readExpectation(name).snapshots);
  });

  test.each(['1', '3'])('replica %s of a real server', (replica) =>
    expectSnapshots(
      join(vectorDirectory('server-2.8'), 'replicas', replica),
      readServerExpectation().replicas[replica]?.snapshots ?? [],
    ),
  );
});

describe('while a server works', () => {
  let root: string;
  let snapshots: string;
  let newest: SnapshotEntry;
  let blob: SnapshotObject;
  let page: SnapshotObject;

  const fileOf = (object: SnapshotObject): string => join(newest.directory, formatObjectPath(object.hash));

  /** As a server does it: another file, then a rename. */
  function replace(path: string, bytes: Uint8Array): void {
    writeFileSync(`${path}._tmp`, bytes);
    renameSync(`${path}._tmp`, path);
  }

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'snapshots-'));
    copyVector('v2-small', join(root, 'replica'));
    snapshots = join(root, 'replica/snapshots');
    newest = (await listSnapshots(diskFiles, snapshots))[0] as SnapshotEntry;
    const objects = listObjects((await readSnapshotFile(diskFiles, newest))?.snapshot ?? expect.fail('no snapshot'));
    blob = objects.find(({ kind }) => kind === 'blob') as SnapshotObject;
    page = objects.find(({ kind }) => kind === 'page') as SnapshotObject;
  });

  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const listed = async (): Promise<bigint[]> => (await listSnapshots(diskFiles, snapshots)).map(({ tx }) => tx);

  test('newest first; locked, renamed and unfinished ones are left out', async () => {
    expect(await listed()).toEqual([180n, 1n]);
    writeFileSync(join(snapshots, '00000000000000000180.lock'), '');
    expect(await listed()).toEqual([1n]);
    renameSync(
      join(snapshots, '00000000000000000001.snapshot_dir'),
      join(snapshots, '00000000000000000001.invalid_snapshot'),
    );
    expect(await listed()).toEqual([]);
    mkdirSync(join(snapshots, '00000000000000000190.snapshot_dir'));
    writeFileSync(join(snapshots, '00000000000000000200.snapshot_dir'), '');
    mkdirSync(join(snapshots, '00000000000000000170.archived_snapshot'));
    rmSync(join(snapshots, '00000000000000000180.lock'));
    expect(await listed()).toEqual([180n]);
    expect(await listSnapshots(diskFiles, join(root, 'nothing'))).toEqual([]);
  });

  test('a lock, a rename and a replacement are noticed afterwards', async () => {
    expect(await isSnapshotUnchanged(diskFiles, newest)).toBe(true);
    writeFileSync(join(snapshots, '00000000000000000180.lock'), '');
    expect(await isSnapshotUnchanged(diskFiles, newest)).toBe(false);
    rmSync(join(snapshots, '00000000000000000180.lock'));
    const away = newest.directory.replace('.snapshot_dir', '.invalid_snapshot');
    renameSync(newest.directory, away);
    expect(await isSnapshotUnchanged(diskFiles, newest)).toBe(false);
    mkdirSync(newest.directory);
    expect(await isSnapshotUnchanged(diskFiles, newest)).toBe(false);
    rmSync(newest.directory, { recursive: true });
    renameSync(away, newest.directory);
    expect(await isSnapshotUnchanged(diskFiles, newest)).toBe(true);
  });

  test('an object that is compressed between two calls has the same bytes', async () => {
    for (const object of [blob, page]) {
      const before = Buffer.from(await requireObject(newest, object));
      replace(fileOf(object), zstdCompressSync(before));
      expect(Buffer.from(await requireObject(newest, object))).toEqual(before);
    }
  });

  test('the snapshot file is proven when it is compressed, too', async () => {
    const path = join(newest.directory, '00000000000000000180.snapshot_bsatn');
    const before = await readSnapshotFile(diskFiles, newest);
    replace(path, zstdCompressSync(readFileSync(path)));
    expect(await readSnapshotFile(diskFiles, newest)).toEqual({
      snapshot: before?.snapshot,
      bytes: Buffer.from(before?.bytes ?? []),
    });
  });

  test("a user's blob that is zstd itself is taken as it is", async () => {
    const bytes = zstdCompressSync(Buffer.from('mine'));
    const object = { kind: 'blob', hash: blake3Hex(bytes) } as const;
    mkdirSync(dirname(fileOf(object)), { recursive: true });
    writeFileSync(fileOf(object), bytes);
    expect(Buffer.from(await requireObject(newest, object))).toEqual(bytes);
    replace(fileOf(object), zstdCompressSync(bytes));
    expect(Buffer.from(await requireObject(newest, object))).toEqual(bytes);
  });

  test('what is gone is null', async () => {
    rmSync(fileOf(page));
    const options = { plainBytesMax: OBJECT_BYTES_MAX };
    expect(await readSnapshotObject(diskFiles, newest, page, options)).toBeNull();
    rmSync(newest.directory, { recursive: true });
    expect(existsSync(newest.directory)).toBe(false);
    expect(await readSnapshotObject(diskFiles, newest, blob, options)).toBeNull();
    expect(await readSnapshotFile(diskFiles, newest)).toBeNull();
  });

  test('what is damaged is corrupt, compressed or not', async () => {
    for (const object of [blob, page]) {
      const bytes = readFileSync(fileOf(object));
      bytes[0] = bytes.readUInt8(0) ^ 1;
      const zstd = zstdCompressSync(bytes);
      for (const damaged of [bytes, bytes.subarray(1), zstd, zstd.subarray(0, -2), Buffer.alloc(0)]) {
        writeFileSync(fileOf(object), damaged);
        await expect(requireObject(newest, object)).rejects.toBeInstanceOf(CorruptionError);
        await expect(requireObject(newest, object)).rejects.toThrow(fileOf(object));
      }
    }
  });

  test('a snapshot under the name of another transaction is refused', async () => {
    const other = join(snapshots, '00000000000000000190.snapshot_dir');
    renameSync(newest.directory, other);
    const name = join(other, '00000000000000000190.snapshot_bsatn');
    copyFileSync(join(other, '00000000000000000180.snapshot_bsatn'), name);
    const [entry] = await listSnapshots(diskFiles, snapshots);
    await expect(readSnapshotFile(diskFiles, entry as SnapshotEntry)).rejects.toThrow('of transaction 180');
  });

  test('a blob beyond the budget is refused, compressed or not, and is not called corrupt', async () => {
    const plain = Buffer.alloc(100_000);
    const object = { kind: 'blob', hash: blake3Hex(plain) } as const;
    mkdirSync(dirname(fileOf(object)), { recursive: true });
    writeFileSync(fileOf(object), plain);
    const read = (plainBytesMax: number) => readSnapshotObject(diskFiles, newest, object, { plainBytesMax });
    await expect(read(50_000)).rejects.toBeInstanceOf(LocalFileError);
    replace(fileOf(object), zstdCompressSync(plain));
    await expect(read(50_000)).rejects.toBeInstanceOf(LocalFileError);
    expect(await read(100_000)).toHaveLength(100_000);
  });
});
