/**
 * Invariant: what a restore publishes is the source's log and snapshot, byte for byte, and it is published whole or
 * not at all.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildSimpleStore, commitsBetween, positionOf, StoreBuilder } from '../../test/support/store-builder.ts';
import { type RecordedCommit, readRecordedLog, segmentBytes } from '../../test/support/recorded-log.ts';
import { type ReplicaVector, vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import {
  ConfigurationError,
  CorruptionError,
  LocalFileError,
  NoBackupError,
  TargetInUseError,
  UnrecoverablePointError,
} from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { diskFiles } from '../core/readable-files.ts';
import { crc32cValue, type TxOffset, txOffset } from '../core/types.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import type { GetOptions, ReplicaClient, StoredObject } from '../replica/replica-client.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatObjectPath, formatSegmentName, parseSnapshotDirName } from '../spacetimedb/file-names.ts';
import { listObjects } from '../spacetimedb/snapshot-file.ts';
import { listSnapshots, readSnapshotFile, readSnapshotObject } from '../spacetimedb/snapshots.ts';
import { type RestoreOptions, type RestoreProgress, type RestoreReport, restore } from './restore.ts';
import { realTargetSystem } from './target-system.ts';

let root: string;
let target: string;
let client: MemoryReplicaClient;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-restore-test-'));
  target = join(root, 'target');
  client = new MemoryReplicaClient();
});
afterEach(() => rm(root, { recursive: true, force: true }));

function run(options: Partial<RestoreOptions> = {}): Promise<RestoreReport> {
  return restore({
    client,
    target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    ...options,
  });
}

const SMALL = vectorDirectory('v2-small');

/** The restored segments, by the offset in their names. */
async function readRestoredLog(): Promise<Map<TxOffset, Uint8Array>> {
  const commits = await readRecordedLog(target);
  for (const [first, bytes] of segmentBytes(commits)) {
    // The files themselves, not only what the reader accepts of them.
    expect(Buffer.compare(await readFile(join(target, 'clog', formatSegmentName(first))), bytes)).toBe(0);
  }
  return segmentBytes(commits);
}

async function expectLog(commits: readonly RecordedCommit[]): Promise<void> {
  const names = (await readdir(join(target, 'clog'))).filter((name) => name.endsWith('.stdb.log')).sort();
  const expected = segmentBytes(commits);
  expect(names).toEqual([...expected.keys()].map(formatSegmentName));
  for (const [first, bytes] of await readRestoredLog()) {
    expect(Buffer.compare(bytes, expected.get(first) ?? Buffer.alloc(0))).toBe(0);
  }
}

/** The restored snapshot holds exactly what the source's holds, uncompressed. */
async function expectSnapshot(replicaDir: string, tx: bigint | null): Promise<void> {
  const restored = await readdir(join(target, 'snapshots'));
  expect(restored.map(parseSnapshotDirName)).toEqual(tx === null ? [] : [tx]);
  if (tx === null) return;
  const source = (await listSnapshots(diskFiles, join(replicaDir, 'snapshots'))).find((entry) => entry.tx === tx);
  const file = source && (await readSnapshotFile(diskFiles, source));
  if (!source || !file) throw new Error(`no snapshot at ${tx}`);
  const directory = join(target, 'snapshots', restored[0] ?? '');
  expect(
    Buffer.compare(await readFile(join(directory, (restored[0] ?? '').replace('_dir', '_bsatn'))), file.bytes),
  ).toBe(0);
  const objects = listObjects(file.snapshot);
  const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect(files).toHaveLength(objects.length + 1);
  for (const object of objects) {
    const plain = await readSnapshotObject(diskFiles, source, object, { plainBytesMax: 1024 * 1024 * 1024 });
    expect(
      Buffer.compare(await readFile(join(directory, formatObjectPath(object.hash))), plain ?? Buffer.alloc(0)),
    ).toBe(0);
  }
}

/** Nothing is left of a restore that failed. */
async function expectNothing(): Promise<void> {
  expect(await readdir(root)).toEqual([]);
}

/** A client whose answers a test may change. */
function spying(get: (key: string, options: GetOptions | undefined) => Promise<StoredObject>): ReplicaClient {
  return {
    url: client.url,
    conditional: client.conditional,
    put: (key, body, options) => client.put(key, body, options),
    get,
    head: (key, options) => client.head(key, options),
    list: (prefix, options) => client.list(prefix, options),
    delete: (keys, options) => client.delete(keys, options),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

describe('each vector comes back as it was', () => {
  const vectors: ReplicaVector[] = ['v1.2', 'v2-small', 'v2-compressed', 'v2-batched/v1', 'v2-batched/v0'];
  test.each(vectors)('%s', async (name) => {
    const replicaDir = vectorDirectory(name);
    const { commits, generation } = await buildSimpleStore({ client, replicaDir, commitsPerObject: 7 });
    const progress: RestoreProgress[] = [];
    const report = await run({ progress: (now) => progress.push(now) });
    const newest = (await listSnapshots(diskFiles, join(replicaDir, 'snapshots')))[0]?.tx ?? null;
    const from = commits.find(({ first, last }) => newest !== null && first <= newest && newest <= last)?.segment ?? 0n;
    await expectLog(commits.filter(({ segment }) => segment >= from));
    await expectSnapshot(replicaDir, newest);
    const last = commits.at(-1) as RecordedCommit;
    expect(report).toMatchObject({ outcome: 'restored', generation, snapshot: newest, warnings: [] });
    expect(report.position).toEqual({ ...positionOf(last), time: last.time });
    expect(report.fetchedBytes).toBeGreaterThan(0);
    expect(progress.map(({ phase }) => phase)).toContain('sync');
    expect(progress.at(-1)).toMatchObject({ phase: 'done' });
    expect(progress.at(-1)?.bytesDone).toBe(progress.at(-1)?.bytesTotal);
    expect(progress.at(-1)?.objectsDone).toBe(progress.at(-1)?.objectsTotal);
    expect(await readdir(root)).toEqual(['target']);
  });

  test.each(['1', '3'])('server-2.8, replica %s', async (replica) => {
    const replicaDir = join(vectorDirectory('server-2.8'), 'replicas', replica);
    const { commits } = await buildSimpleStore({ client, replicaDir });
    await run();
    const newest = (await listSnapshots(diskFiles, join(replicaDir, 'snapshots')))[0]?.tx ?? 0n;
    const from = commits.find(({ first, last }) => first <= newest && newest <= last)?.segment ?? 0n;
    await expectLog(commits.filter(({ segment }) => segment >= from));
    await expectSnapshot(replicaDir, newest);
  });

  test('the offset index points at commits, up to the last interval', async () => {
    const { commits } = await buildSimpleStore({ client, replicaDir: SMALL, snapshots: [] });
    await run();
    const names = await readdir(join(SMALL, 'clog'));
    for (const name of names.filter((one) => one.endsWith('.stdb.ofs'))) {
      const [ours, engines] = await Promise.all([
        readFile(join(target, 'clog', name)),
        readFile(join(SMALL, 'clog', name)),
      ]);
      expect(engines.subarray(0, 16 * 8)).toEqual(ours.subarray(0, 16 * 8));
    }
    await expectLog(commits);
  });
});

test('a log that would end in version 0 is refused, and nothing is left', async () => {
  await buildSimpleStore({ client, replicaDir: vectorDirectory('v2-batched/v0-last-too') });
  await expect(run()).rejects.toThrow(UnrecoverablePointError);
  await expectNothing();
});

describe('lines', () => {
  test('a takeover by the same owner goes on in the same segment', async () => {
    const { builder, commits, generation } = await halves(60n);
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 60n)) },
    });
    await builder.putLog(child, { commits: commitsBetween(commits, 61n, 299n), commitsPerObject: 50 });
    await builder.putHead(child, commits.at(-1) ?? null);
    const report = await run();
    await expectLog(commits);
    expect(report.generation).toBe(child);
  });

  test('a parent is cut inside of an object, where its child branched off', async () => {
    const { builder, commits, generation } = await halves(100n);
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 83n)) },
    });
    await builder.putLog(child, { commits: commitsBetween(commits, 84n, 120n), commitsPerObject: 10 });
    await builder.putHead(child, at(commits, 120n));
    await run();
    await expectLog(commitsBetween(commits, 0n, 120n));
  });

  test('a child without data of its own ends at its parent point; the later commits are told of', async () => {
    const { builder, commits, generation } = await halves(100n);
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 83n)) },
    });
    await builder.putHead(child, null);
    const report = await run();
    await expectLog(commitsBetween(commits, 0n, 83n));
    expect(report.position?.tx).toBe(83n);
    expect(report.plan?.abandoned).toMatchObject([{ generation, last: { tx: 100n } }]);
    expect(report.warnings).toHaveLength(1);
  });

  test('a wrong parent point is corruption', async () => {
    const { builder, commits, generation } = await halves(100n);
    const position = { tx: at(commits, 83n).last, crc: crc32cValue(1) };
    const child = await builder.putGeneration({ number: 2, parent: { generation, position } });
    await builder.putHead(child, null);
    await expect(run()).rejects.toThrow(CorruptionError);
    await expectNothing();
  });

  test('a snapshot beyond the parent point is of another history', async () => {
    const { builder, commits, generation } = await halves(299n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 1n, commit: at(commits, 1n) });
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 160n)) },
    });
    await builder.putLog(child, { commits: commitsBetween(commits, 161n, 250n) });
    await builder.putHead(child, at(commits, 250n));
    const report = await run();
    expect(report.snapshot).toBe(1n);
    await expectLog(commitsBetween(commits, 0n, 250n));
  });

  test('objects that overlap, at other levels and in unlucky places, lead to the same bytes', async () => {
    const { builder, commits, generation } = await halves(299n);
    const prevOf = (tx: bigint): RecordedCommit => at(commits, tx);
    await builder.putLog(generation, { commits: commitsBetween(commits, 0n, 99n), level: 1, prev: crc32cValue(0) });
    // Leads furthest at first, and then nowhere.
    await builder.putLog(generation, { commits: commitsBetween(commits, 100n, 133n), prev: prevOf(99n).crc });
    await builder.putLog(generation, {
      commits: commitsBetween(commits, 200n, 299n),
      level: 2,
      prev: prevOf(199n).crc,
    });
    await run();
    await expectLog(commits);
  });

  test('without a head, the highest generation that holds something', async () => {
    const { builder, commits } = await halves(50n);
    await builder.putGeneration({ number: 9 });
    await run();
    await expectLog(commitsBetween(commits, 0n, 50n));
  });

  /** Generation 1 holds transactions 0 to `last`, in objects of 40 commits. No head. */
  async function halves(last: bigint) {
    const builder = new StoreBuilder(client);
    const commits = await readRecordedLog(SMALL);
    await builder.putFormat();
    const generation = await builder.putGeneration({ number: 1 });
    await builder.putLog(generation, { commits: commitsBetween(commits, 0n, last), commitsPerObject: 40 });
    return { builder, commits, generation };
  }
});

const at = (commits: readonly RecordedCommit[], tx: bigint): RecordedCommit =>
  commitsBetween(commits, tx, tx)[0] as RecordedCommit;

describe('a log that begins above 0', () => {
  test('goes with the snapshot that it follows', async () => {
    const { builder, commits, generation } = await pruned(147n, 180n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    await run();
    await expectLog(commitsBetween(commits, 147n, 299n));
    await expectSnapshot(SMALL, 180n);
  });

  test('right after the snapshot: its own commit comes from the manifest', async () => {
    const { builder, commits, generation } = await pruned(181n, 180n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    const report = await run();
    expect(report.position?.tx).toBe(299n);
    const restored = await readRecordedLog(target);
    expect(restored.map(({ crc }) => crc)).toEqual(commitsBetween(commits, 180n, 299n).map(({ crc }) => crc));
  });

  test('right after the snapshot, without its commit: the log goes on, and that is enough', async () => {
    const { builder, commits, generation } = await pruned(181n, 0n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: null });
    const report = await run();
    expect(report.snapshot).toBe(180n);
    const restored = await readRecordedLog(target);
    expect(restored[0]?.first).toBe(181n);
    expect(restored.map(({ crc }) => crc)).toEqual(commitsBetween(commits, 181n, 299n).map(({ crc }) => crc));
  });

  test('a snapshot alone with its commit is a recovery point, without it is none', async () => {
    const builder = new StoreBuilder(client);
    const commits = await readRecordedLog(SMALL);
    const generation = await builder.putGeneration({ number: 1 });
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: null });
    await expect(run()).rejects.toThrow(UnrecoverablePointError);
    await expectNothing();
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    expect((await run()).position?.tx).toBe(180n);
    expect((await readRecordedLog(target)).map(({ last }) => last)).toEqual([180n]);
  });

  test('without a snapshot there is no recovery point; the other line that has one is named', async () => {
    const { builder, commits } = await pruned(147n, 0n);
    await expect(run()).rejects.toThrow(UnrecoverablePointError);
    const other = await builder.putGeneration({ number: 2 });
    await builder.putLog(other, { commits: commitsBetween(commits, 0n, 20n) });
    await expect(run()).rejects.toSatisfy(
      (error) => error instanceof UnrecoverablePointError && !!error.hint?.includes(other),
    );
    await expectNothing();
    expect((await run({ generation: '2' })).position?.tx).toBe(20n);
  });

  /** A generation whose log begins at `first`, and whose `prev` is 0 or, with `before`, that commit's checksum. */
  async function pruned(first: bigint, before: bigint) {
    const builder = new StoreBuilder(client);
    const commits = await readRecordedLog(SMALL);
    await builder.putFormat();
    const generation = await builder.putGeneration({ number: 1 });
    const prev = before === 0n ? { prev: crc32cValue(0) } : {};
    await builder.putLog(generation, { commits: commitsBetween(commits, first, 299n), commitsPerObject: 30, ...prev });
    await builder.putHead(generation, commits.at(-1) ?? null);
    return { builder, commits, generation };
  }
});

describe('damage', () => {
  test('an empty store is no backup; one with a document alone is none either', async () => {
    await expect(run()).rejects.toThrow(NoBackupError);
    await new StoreBuilder(client).putFormat();
    await expect(run()).rejects.toThrow(NoBackupError);
    await expectNothing();
  });

  test('a missing log object is a hole: the head knows how far the log must go', async () => {
    const { logKeys } = await buildSimpleStore({ client, replicaDir: SMALL });
    await client.delete([logKeys.at(-1) ?? '']);
    await expect(run()).rejects.toThrow(CorruptionError);
    await expectNothing();
  });

  test('a snapshot that misses a pack, or has a bad one, gives way to the next older, loudly', async () => {
    const { commits } = await buildSimpleStore({ client, replicaDir: SMALL, snapshots: [1n] });
    const before = new Set(client.store.keys());
    await new StoreBuilder(client).putSnapshot((await run({ dryRun: true })).generation as never, {
      replicaDir: SMALL,
      tx: 180n,
      commit: at(commits, 180n),
      objectsPerPack: 3,
    });
    const own = client.store.keys().filter((key) => key.startsWith('packs/') && !before.has(key));
    await client.delete(own.slice(0, 1));
    const report = await run();
    expect(report.snapshot).toBe(1n);
    expect(report.warnings.length).toBeGreaterThan(0);
    await expectSnapshot(SMALL, 1n);
    await expectLog(commits);
  });

  test('without any snapshot left, the log from 0 does', async () => {
    const { commits } = await buildSimpleStore({ client, replicaDir: SMALL });
    const packs = client.store.keys().filter((key) => key.startsWith('packs/'));
    await client.delete(packs);
    const report = await run();
    expect(report).toMatchObject({ snapshot: null, outcome: 'restored' });
    await expectLog(commits);
    await expectSnapshot(SMALL, null);
  });

  test('a damaged log object gives way to another copy of the same commits', async () => {
    const { builder, commits, generation, logKeys } = await buildSimpleStore({
      client,
      replicaDir: SMALL,
      snapshots: [],
    });
    await builder.putLog(generation, { commits, commitsPerObject: 1000, level: 1, prev: crc32cValue(0) });
    const long = client.store.keys().filter((key) => key.includes('/log/1/'));
    for (const key of long) flip(key, 200);
    const report = await run();
    expect(report.warnings).toHaveLength(long.length);
    await expectLog(commits);
    await rm(target, { recursive: true });
    flip(logKeys[2] ?? '', 100);
    await expect(run()).rejects.toThrow(CorruptionError);
    await expectNothing();
  });

  test('a log object that is cut short, too long, swapped or of another history is found', async () => {
    const { logKeys } = await buildSimpleStore({ client, replicaDir: SMALL, snapshots: [] });
    const [, one = '', two = ''] = logKeys;
    const original = { one: bytesOf(one), two: bytesOf(two) };
    const cases: [string, () => void][] = [
      ['cut', () => client.store.set(one, original.one.subarray(0, -20))],
      ['empty', () => client.store.set(one, new Uint8Array(0))],
      ['longer', () => client.store.set(one, Buffer.concat([original.one, original.one]))],
      ['swapped', () => [client.store.set(one, original.two), client.store.set(two, original.one)]],
      ['noise', () => client.store.set(one, Buffer.alloc(1000, 7))],
    ];
    for (const [name, damage] of cases) {
      damage();
      await expect(run(), name).rejects.toThrow(CorruptionError);
      await expectNothing();
      client.store.set(one, original.one);
      client.store.set(two, original.two);
    }
    expect((await run()).warnings).toEqual([]);
  });

  test('a snapshot of another history than the log is not used', async () => {
    const { builder, commits, generation } = await buildSimpleStore({ client, replicaDir: SMALL, snapshots: [] });
    const bytes = encodeCommit({ version: 1, tx: txOffset(180n), records: Buffer.from('another history') });
    const stranger = { ...at(commits, 180n), bytes };
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: stranger });
    const report = await run();
    expect(report.snapshot).toBeNull();
    expect(report.warnings).toHaveLength(1);
    await expectLog(commits);
  });

  test('names that are none of ours are ignored, wherever they point', async () => {
    const { commits, generation } = await buildSimpleStore({ client, replicaDir: SMALL, snapshots: [] });
    const prefix = `generations/${generation}`;
    const hostile = [
      'generations/../../etc/passwd',
      `${prefix}/log/0/00000000000000000000/../../x.zst`,
      `${prefix}/snapshots/99999999999999999999/manifest.ndjson.zst`,
      `${prefix}/snapshots/../manifest.ndjson.zst`,
      'generations/.DS_Store',
    ];
    for (const key of hostile) client.store.set(key, Buffer.from('x'));
    await run();
    await expectLog(commits);
  });

  const bytesOf = (key: string): Uint8Array => client.store.objects.get(key)?.bytes ?? new Uint8Array(0);
  function flip(key: string, index: number): void {
    const bytes = Uint8Array.from(bytesOf(key));
    bytes[index] = (bytes[index] ?? 0) ^ 0x10;
    client.store.set(key, bytes);
  }
});

describe('the target', () => {
  test('a dry run plans everything and writes nothing', async () => {
    await buildSimpleStore({ client, replicaDir: SMALL });
    const report = await run({ dryRun: true });
    expect(report).toMatchObject({ outcome: 'planned', snapshot: 180n, plan: { snapshot: { tx: 180n }, segments: 1 } });
    expect(report.position?.tx).toBe(299n);
    await expectNothing();
  });

  test('in use it is refused before the store is asked; with ifDatabaseAbsent that is fine', async () => {
    await buildSimpleStore({ client, replicaDir: SMALL });
    await run();
    client.store.resetCounters();
    await expect(run()).rejects.toThrow(TargetInUseError);
    expect(await run({ ifDatabaseAbsent: true })).toMatchObject({ outcome: 'exists', position: null });
    expect(client.store.requests).toMatchObject({ get: 0, list: 0 });
  });

  test('a mount point is filled in place', async () => {
    await mkdir(target);
    const { ino } = await stat(target);
    const { commits } = await buildSimpleStore({ client, replicaDir: SMALL, snapshots: [1n] });
    await run({ system: { ...realTargetSystem, isMountPoint: async () => true } });
    expect((await readdir(target)).sort()).toEqual(['clog', 'snapshots']);
    expect((await stat(target)).ino).toBe(ino);
    await expectLog(commits);
  });

  test('too little space is told before anything is fetched', async () => {
    await buildSimpleStore({ client, replicaDir: SMALL });
    const full = run({ system: { ...realTargetSystem, freeBytes: async () => 100_000 } });
    await expect(full).rejects.toThrow(LocalFileError);
    await expect(full).rejects.toThrow('97.7 KiB are available');
    await expectNothing();
  });

  test.each(['stdb.log', 'stdb.ofs', 'objects'])(
    'a disk that fills up at a file of %s leaves nothing',
    async (where) => {
      await buildSimpleStore({ client, replicaDir: SMALL });
      const createFile: typeof realTargetSystem.createFile = async (path) => {
        const file = await realTargetSystem.createFile(path);
        if (!path.includes(where)) return file;
        const full = (): never => {
          throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
        };
        return Object.assign(file, { writeFile: full, writev: full });
      };
      const failed = run({ system: { ...realTargetSystem, createFile } });
      await expect(failed).rejects.toThrow(LocalFileError);
      await expect(failed).rejects.toHaveProperty('facts.systemCode', 'ENOSPC');
      await expectNothing();
    },
  );

  test('aborted at any request, it leaves nothing, and all of the budget is given back', async () => {
    await buildSimpleStore({ client, replicaDir: SMALL, commitsPerObject: 20 });
    client.store.resetCounters();
    await run();
    await rm(target, { recursive: true });
    const gets = client.store.requests.get;
    expect(gets).toBeGreaterThan(10);
    for (let stopAt = 1; stopAt <= gets; stopAt += 1) {
      const abort = new AbortController();
      const budget = new ByteBudget(16 * 1024 * 1024);
      let seen = 0;
      const stopping = spying(async (key, options) => {
        seen += 1;
        if (seen === stopAt) abort.abort(new Error('stopped'));
        return client.get(key, options);
      });
      await expect(run({ client: stopping, signal: abort.signal, budget })).rejects.toThrow('stopped');
      expect(budget.held).toBe(0);
      await expectNothing();
    }
  });

  test('a budget that cannot hold an object is told, not waited for', async () => {
    await buildSimpleStore({ client, replicaDir: SMALL });
    await expect(run({ budget: new ByteBudget(1024) })).rejects.toThrow(ConfigurationError);
    await expectNothing();
  });
});

test('objects that are replaced by longer ones meanwhile lead to the planned point', async () => {
  const { builder, commits, generation, logKeys } = await buildSimpleStore({
    client,
    replicaDir: SMALL,
    snapshots: [],
  });
  let promoted = false;
  const moving = spying(async (key, options) => {
    if (!promoted && logKeys.includes(key)) {
      promoted = true;
      await builder.putLog(generation, { commits, commitsPerObject: 1000, level: 1, prev: crc32cValue(0) });
      await client.delete(logKeys);
    }
    return client.get(key, options);
  });
  const report = await run({ client: moving });
  expect(report.position?.tx).toBe(299n);
  await expectLog(commits);
});
