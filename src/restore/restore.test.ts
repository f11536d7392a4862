/**
 * Invariant: what a restore publishes is the source's log and snapshot, byte for byte, and it is published whole or
 * not at all.
 */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore, positionOf } from '../../test/support/store-builder.ts';
import { type ReplicaVector, vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { ConfigurationError, LocalFileError, TargetInUseError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import type { TxOffset } from '../core/types.ts';
import { COMMIT_HEADER_BYTES } from '../spacetimedb/commit.ts';
import { SEGMENT_VERSION_OFFSET } from '../spacetimedb/segment-header.ts';
import { listSnapshots } from '../spacetimedb/snapshots.ts';
import type { RestoreProgress } from './restore.ts';
import { realTargetSystem } from './target-system.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

const SMALL = vectorDirectory('v2-small');

describe('each vector comes back as it was', () => {
  const vectors: ReplicaVector[] = ['v1.2', 'v2-small', 'v2-compressed', 'v2-batched/v1', 'v2-batched/v0'];
  test.each(vectors)('%s', async (name) => {
    const replicaDir = vectorDirectory(name);
    const { commits, generation } = await buildSimpleStore({ client: scene.client, replicaDir, commitsPerObject: 7 });
    const progress: RestoreProgress[] = [];
    const report = await scene.run({ progress: (now) => progress.push(now) });
    const newest = (await listSnapshots(diskFiles, join(replicaDir, 'snapshots')))[0]?.tx ?? null;
    const from = commits.find(({ first, last }) => newest !== null && first <= newest && newest <= last)?.segment ?? 0n;
    await scene.expectLog(commits.filter(({ segment }) => segment >= from));
    await scene.expectSnapshot(replicaDir, newest);
    const last = commits.at(-1) as RecordedCommit;
    expect(report).toMatchObject({ outcome: 'restored', generation, snapshot: newest, warnings: [] });
    expect(report.position).toEqual({ ...positionOf(last), time: last.time });
    expect(report.fetchedBytes).toBeGreaterThan(0);
    expect(progress.map(({ phase }) => phase)).toContain('sync');
    expect(progress.at(-1)).toMatchObject({ phase: 'done' });
    expect(progress.at(-1)?.bytesDone).toBe(progress.at(-1)?.bytesTotal);
    expect(progress.at(-1)?.objectsDone).toBe(progress.at(-1)?.objectsTotal);
    expect(await readdir(scene.root)).toEqual(['target']);
  });

  test.each(['1', '3'])('server-2.8, replica %s', async (replica) => {
    const replicaDir = join(vectorDirectory('server-2.8'), 'replicas', replica);
    const { commits } = await buildSimpleStore({ client: scene.client, replicaDir });
    await scene.run();
    const newest = (await listSnapshots(diskFiles, join(replicaDir, 'snapshots')))[0]?.tx ?? 0n;
    const from = commits.find(({ first, last }) => first <= newest && newest <= last)?.segment ?? 0n;
    await scene.expectLog(commits.filter(({ segment }) => segment >= from));
    await scene.expectSnapshot(replicaDir, newest);
  });

  test('the offset index points at commits, up to the last interval', async () => {
    const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
    await scene.run();
    const names = await readdir(join(SMALL, 'clog'));
    for (const name of names.filter((one) => one.endsWith('.stdb.ofs'))) {
      const [ours, engines] = await Promise.all([
        readFile(join(scene.target, 'clog', name)),
        readFile(join(SMALL, 'clog', name)),
      ]);
      expect(engines.subarray(0, 16 * 8)).toEqual(ours.subarray(0, 16 * 8));
    }
    await scene.expectLog(commits);
  });
});

test('a log that ends in version 0 ends in version 1, with the same records', async () => {
  const replicaDir = vectorDirectory('v2-batched/v0-last-too');
  const { commits } = await buildSimpleStore({ client: scene.client, replicaDir, commitsPerObject: 3 });
  const report = await scene.run();
  const last = commits.at(-1) as RecordedCommit;
  // The position is the store's: what follows up on it compares with what is stored.
  expect(report.position).toEqual({ ...positionOf(last), time: last.time });
  expect(report.warnings).toEqual([expect.stringContaining('format version 0')]);
  const restored = await readRecordedLog(scene.target);
  const wanted = commits.filter(({ segment }) => segment >= (restored[0]?.segment ?? 0n));
  expect(restored.map(({ first, last: end }) => [first, end])).toEqual(
    wanted.map(({ first, last: end }) => [first, end]),
  );
  const versions = new Map(restored.map(({ segment, header }) => [segment, header[SEGMENT_VERSION_OFFSET]]));
  expect([...versions.values()]).toEqual(
    [...versions.values()].map((_, index, { length }) => (index === length - 1 ? 1 : 0)),
  );
  for (const [index, { bytes }] of restored.entries()) {
    const old = wanted[index]?.bytes ?? new Uint8Array(0);
    const skipped = COMMIT_HEADER_BYTES[versions.get(restored[index]?.segment as TxOffset) === 1 ? 1 : 0];
    expect(Buffer.compare(bytes.subarray(skipped, -4), old.subarray(COMMIT_HEADER_BYTES[0], -4))).toBe(0);
  }
  const clog = await readdir(join(scene.target, 'clog'));
  expect(clog.filter((name) => name.endsWith('.ofs'))).toHaveLength(1);
  expect(clog.filter((name) => name.startsWith('.'))).toEqual([]);
});

describe('the target', () => {
  test('a dry run plans everything and writes nothing', async () => {
    await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    const report = await scene.run({ dryRun: true });
    expect(report).toMatchObject({ outcome: 'planned', snapshot: 180n, plan: { snapshot: { tx: 180n }, segments: 1 } });
    expect(report.position?.tx).toBe(299n);
    await scene.expectNothing();
  });

  test('in use it is refused before the store is asked; with ifDatabaseAbsent that is fine', async () => {
    await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    await scene.run();
    scene.client.store.resetCounters();
    await expect(scene.run()).rejects.toThrow(TargetInUseError);
    expect(await scene.run({ ifDatabaseAbsent: true })).toMatchObject({ outcome: 'exists', position: null });
    expect(scene.client.store.requests).toMatchObject({ get: 0, list: 0 });
  });

  test('a mount point is filled in place', async () => {
    await mkdir(scene.target);
    const { ino } = await stat(scene.target);
    const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [1n] });
    await scene.run({ system: { ...realTargetSystem, isMountPoint: async () => true } });
    expect((await readdir(scene.target)).sort()).toEqual(['clog', 'snapshots']);
    expect((await stat(scene.target)).ino).toBe(ino);
    await scene.expectLog(commits);
  });

  test('too little space is told before anything is fetched', async () => {
    await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    const full = scene.run({ system: { ...realTargetSystem, freeBytes: async () => 100_000 } });
    await expect(full).rejects.toThrow(LocalFileError);
    await expect(full).rejects.toThrow('97.7 KiB are available');
    await scene.expectNothing();
  });

  test.each(['stdb.log', 'stdb.ofs', 'objects'])(
    'a disk that fills up at a file of %s leaves nothing',
    async (where) => {
      await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
      const createFile: typeof realTargetSystem.createFile = async (path) => {
        const file = await realTargetSystem.createFile(path);
        if (!path.includes(where)) return file;
        const full = (): never => {
          throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
        };
        return Object.assign(file, { writeFile: full, writev: full });
      };
      const failed = scene.run({ system: { ...realTargetSystem, createFile } });
      await expect(failed).rejects.toThrow(LocalFileError);
      await expect(failed).rejects.toHaveProperty('facts.systemCode', 'ENOSPC');
      await scene.expectNothing();
    },
  );

  test('aborted at any request, it leaves nothing, and all of the budget is given back', async () => {
    await buildSimpleStore({ client: scene.client, replicaDir: SMALL, commitsPerObject: 20 });
    scene.client.store.resetCounters();
    await scene.run();
    await rm(scene.target, { recursive: true });
    const gets = scene.client.store.requests.get;
    expect(gets).toBeGreaterThan(10);
    for (let stopAt = 1; stopAt <= gets; stopAt += 1) {
      const abort = new AbortController();
      const budget = new ByteBudget(16 * 1024 * 1024);
      let seen = 0;
      const stopping = scene.spying(async (key, options) => {
        seen += 1;
        if (seen === stopAt) abort.abort(new Error('stopped'));
        return scene.client.get(key, options);
      });
      await expect(scene.run({ client: stopping, signal: abort.signal, budget })).rejects.toThrow('stopped');
      expect(budget.held).toBe(0);
      await scene.expectNothing();
    }
  });

  test('a budget that cannot hold an object is told, not waited for', async () => {
    await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    await expect(scene.run({ budget: new ByteBudget(1024) })).rejects.toThrow(ConfigurationError);
    await scene.expectNothing();
  });
});
