/**
 * Invariant: what happens elsewhere does not decide a restore: damage in lines that it does not take, a head that moves
 * on meanwhile, connections that break, and names that no writer would make.
 */
import { type FileHandle, mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testNeeding } from '../../test/support/named-skip.ts';
import type { RecordedCommit } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from '../../test/support/small-disk.ts';
import { buildSimpleStore, commitsBetween, positionOf, StoreBuilder } from '../../test/support/store-builder.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { CorruptionError, LocalFileError, TargetInUseError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { logObjectKey } from '../layout/keys.ts';
import { UnavailableError } from '../replica/replica-client.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

const SMALL = vectorDirectory('v2-small');

const commitAt = (commits: readonly RecordedCommit[], tx: bigint): RecordedCommit =>
  commitsBetween(commits, tx, tx)[0] as RecordedCommit;

test('two histories in an abandoned generation do not stand in the way of the head', async () => {
  const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
  const builder = new StoreBuilder(scene.client);
  const forked = await builder.putGeneration({ number: 2 });
  for (const crc of [1, 2]) {
    const name = { generation: forked, level: 0, segment: txOffset(0n), first: txOffset(0n), last: txOffset(999n) };
    const key = logObjectKey({ ...name, time: micros(0n), prev: crc32cValue(0), crc: crc32cValue(crc) });
    scene.client.store.set(key, Buffer.from('x'));
  }
  const report = await scene.run();
  await scene.expectLog(commits);
  expect(report.plan?.abandoned).toMatchObject([{ generation: forked, last: { tx: 999n } }]);
});

test('a connection that breaks within a body does not end the restore', async () => {
  const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
  const broken = new Set<string>();
  const flaky = scene.spying(async (key, options) => {
    const stored = await scene.client.get(key, options);
    if (broken.has(key)) return stored;
    broken.add(key);
    return { ...stored, body: breaking(stored.body) };
  });
  const clock = new VirtualClock();
  const report = await scene.run({ client: retryingClient(flaky, { clock }) });
  expect(report.snapshot).toBe(180n);
  await scene.expectLog(commitsBetween(commits, 147n, 299n));
  await scene.expectSnapshot(SMALL, 180n);
});

async function* breaking(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  for await (const bytes of body) {
    yield bytes.subarray(0, bytes.byteLength >> 1);
    throw new UnavailableError('the connection ended');
  }
}

test('a head that moves on to a child meanwhile does not move the target', async () => {
  const { builder, commits, generation, logKeys } = await buildSimpleStore({
    client: scene.client,
    replicaDir: SMALL,
    commitsPerObject: 30,
    snapshots: [],
  });
  // The generation ends at 200, and holds all of it twice.
  for (const key of logKeys) scene.client.store.objects.delete(key);
  await builder.putLog(generation, {
    commits: commitsBetween(commits, 0n, 200n),
    commitsPerObject: 30,
    prev: crc32cValue(0),
  });
  await builder.putLog(generation, { commits: commitsBetween(commits, 0n, 200n), level: 1, prev: crc32cValue(0) });
  await builder.putHead(generation, commitAt(commits, 200n));
  const high = [...scene.client.store.objects.keys()].find((key) => key.includes('/log/1/')) ?? '';
  scene.flip(high, 100);
  let moved = false;
  const client = scene.spying(async (key, options) => {
    if (key === high && !moved) {
      moved = true;
      await builder.putLog(generation, { commits: commitsBetween(commits, 201n, 230n) });
      const parent = commitAt(commits, 230n);
      const child = await builder.putGeneration({ number: 2, parent: { generation, position: positionOf(parent) } });
      await builder.putLog(child, { commits: commitsBetween(commits, 231n, 299n) });
      await builder.putHead(child, commitAt(commits, 299n));
    }
    return scene.client.get(key, options);
  });
  const report = await scene.run({ client });
  expect(moved).toBe(true);
  expect(report).toMatchObject({ generation, position: { tx: 200n } });
  await scene.expectLog(commitsBetween(commits, 0n, 200n));
});

test('where the log begins behind the snapshot, the time is that of the names', async () => {
  const builder = new StoreBuilder(scene.client);
  const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
  for (const key of scene.client.store.objects.keys()) scene.client.store.objects.delete(key);
  const generation = await builder.putGeneration({ number: 1 });
  const end = commitAt(commits, 299n);
  // An earlier commit had a later clock: all names tell that, and what the manifest tells is less.
  const time = micros(end.time + 1_000_000n);
  const later = commitsBetween(commits, 181n, 299n).map((commit) => ({ ...commit, time }));
  await builder.putLog(generation, { commits: later });
  await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: commitAt(commits, 180n) });
  await builder.putHead(generation, { ...end, time });
  const report = await scene.run();
  expect(report.position).toMatchObject({ tx: 299n, time });
  expect(report.warnings).toEqual([]);
});

test('a hole behind all snapshots is found by the newest of them: the others are not asked', async () => {
  const { logKeys } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
  scene.client.store.objects.delete(logKeys.at(-2) ?? '');
  const asked: string[] = [];
  const client = scene.spying(async (key, options) => {
    asked.push(key);
    return scene.client.get(key, options);
  });
  await expect(scene.run({ client })).rejects.toThrow(CorruptionError);
  const manifests = asked.filter((key) => key.endsWith('manifest.ndjson.zst'));
  expect(manifests).toEqual([expect.stringContaining('00000000000000000180')]);
});

test('a full disk that also fails to close its files is told as a full disk', async () => {
  await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
  const full = (): Promise<never> => Promise.reject(Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' }));
  const system: TargetSystem = {
    ...realTargetSystem,
    async createFile(path) {
      const handle = await open(path, 'wx');
      const close = (): Promise<never> => handle.close().then(full);
      return { writeFile: full, writev: full, close, [Symbol.asyncDispose]: close } as unknown as FileHandle;
    },
  };
  const error: unknown = await scene.run({ system }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(LocalFileError);
  expect((error as LocalFileError).hint).toContain('Free space');
  await scene.expectNothing();
});

testNeeding({ missing: whyNoSmallDisk() })('what cannot be removed hides no reason', async () => {
  await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
  const mounted: SmallDisk[] = [];
  const system: TargetSystem = {
    ...realTargetSystem,
    async createFile(path) {
      mounted.push(await mountSmallDisk(join(dirname(path), 'busy'), '64k'));
      throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
    },
  };
  const warned: string[] = [];
  try {
    const log = { ...silentLog, warn: (message: string) => void warned.push(message) };
    await expect(scene.run({ system, log })).rejects.toThrow(LocalFileError);
    expect(warned.join()).toContain('EBUSY');
  } finally {
    for (const disk of mounted) await disk[Symbol.asyncDispose]();
  }
});

test('what fills the target while an attempt runs is not taken for what an unfinished restore left', async () => {
  const { logKeys } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
  const high = (logKeys[0] ?? '').replace('/log/0/', '/log/1/');
  scene.client.store.set(high, scene.bytesOf(logKeys[0] ?? ''));
  scene.flip(high, 100);
  const clog = join(scene.target, 'clog');
  const leave = async (): Promise<void> => {
    await mkdir(clog, { recursive: true });
    await writeFile(join(clog, 'live'), '');
  };
  await leave();
  await mkdir(join(scene.target, '.stdb-restore-000000000000'));
  const client = scene.spying(async (key, options) => {
    // The first attempt has cleared the target; another restore, or a server, is done with it before the second one.
    if (key === high) await leave();
    return scene.client.get(key, options);
  });
  const system: TargetSystem = { ...realTargetSystem, isMountPoint: async () => true };
  await expect(scene.run({ client, system })).rejects.toThrow(TargetInUseError);
  expect(await readdir(clog)).toEqual(['live']);
});
