/**
 * Invariant: what is damaged, gone or foreign in the store is done without, loudly, where the planned point can be
 * reached all the same; else it is corruption, and nothing is left.
 */
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecordedCommit } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore, commitsBetween, positionOf, StoreBuilder } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { CorruptionError, NoBackupError } from '../core/errors.ts';
import { crc32cValue, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

const SMALL = vectorDirectory('v2-small');

const at = (commits: readonly RecordedCommit[], tx: bigint): RecordedCommit =>
  commitsBetween(commits, tx, tx)[0] as RecordedCommit;

describe('damage', () => {
  test('an empty store is no backup; one with a document alone is none either', async () => {
    await expect(scene.run()).rejects.toThrow(NoBackupError);
    await new StoreBuilder(scene.client).putFormat();
    await expect(scene.run()).rejects.toThrow(NoBackupError);
    await scene.expectNothing();
  });

  test('a store that was emptied is no place without a backup: its documents tell of what was there', async () => {
    const { builder, commits, generation } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    const data = scene.client.store.keys().filter((key) => /\/log\/|\/snapshots\/|^packs\//.test(key));
    await scene.client.delete(data);
    await expect(scene.run()).rejects.toThrow(CorruptionError);
    await expect(scene.run({ point: { kind: 'tx', tx: txOffset(3n) } })).rejects.toThrow(/head.json tells/);
    // A writer that has begun, and stored nothing as yet.
    await builder.putHead(generation, null);
    await expect(scene.run()).rejects.toThrow(NoBackupError);
    const parent = { generation, position: positionOf(commits[5] as RecordedCommit) };
    await builder.putHead(await builder.putGeneration({ number: 2, parent }), null);
    await expect(scene.run()).rejects.toThrow(/all commits and snapshots .* are gone/);
    await scene.expectNothing();
  });

  test('a missing log object is a hole: the head knows how far the log must go', async () => {
    const { logKeys } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    await scene.client.delete([logKeys.at(-1) ?? '']);
    await expect(scene.run()).rejects.toThrow(CorruptionError);
    await scene.expectNothing();
  });

  test.each([undefined, { kind: 'timestamp', time: 4_000_000_000_000_000n as never } as const])(
    'behind the position that the head tells, what lies behind a hole is said aloud (%o)',
    async (point) => {
      const common = { client: scene.client, replicaDir: SMALL, snapshots: [] };
      const store = await buildSimpleStore({ ...common, commitsPerObject: 10 });
      const { builder, commits, generation, logKeys } = store;
      expect((await scene.run({ point, dryRun: true })).warnings).toEqual([]);
      await builder.putHead(generation, commits[4] ?? null);
      await scene.client.delete([logKeys[3] ?? '']);
      const { warnings, position } = await scene.run({ point, dryRun: true });
      expect(position?.tx).toBeLessThan(commits.at(-1)?.last ?? 0n);
      expect(warnings.join()).toContain(`up to transaction ${commits.at(-1)?.last}`);
      expect(warnings.join()).toContain(`what follows transaction ${position?.tx} is not stored`);
    },
  );

  test('a snapshot that misses a pack, or has a bad one, gives way to the next older, loudly', async () => {
    const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [1n] });
    const before = new Set(scene.client.store.keys());
    await new StoreBuilder(scene.client).putSnapshot((await scene.run({ dryRun: true })).generation as never, {
      replicaDir: SMALL,
      tx: 180n,
      commit: at(commits, 180n),
      objectsPerPack: 3,
    });
    const own = scene.client.store.keys().filter((key) => key.startsWith('packs/') && !before.has(key));
    await scene.client.delete(own.slice(0, 1));
    const report = await scene.run();
    expect(report.snapshot).toBe(1n);
    expect(report.warnings.length).toBeGreaterThan(0);
    await scene.expectSnapshot(SMALL, 1n);
    await scene.expectLog(commits);
  });

  test('without any snapshot left, the log from 0 does', async () => {
    const { commits } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
    const packs = scene.client.store.keys().filter((key) => key.startsWith('packs/'));
    await scene.client.delete(packs);
    const report = await scene.run();
    expect(report).toMatchObject({ snapshot: null, outcome: 'restored' });
    await scene.expectLog(commits);
    await scene.expectSnapshot(SMALL, null);
  });

  test('a damaged log object gives way to another copy of the same commits', async () => {
    const { builder, commits, generation, logKeys } = await buildSimpleStore({
      client: scene.client,
      replicaDir: SMALL,
      snapshots: [],
    });
    await builder.putLog(generation, { commits, commitsPerObject: 1000, level: 1, prev: crc32cValue(0) });
    const long = scene.client.store.keys().filter((key) => key.includes('/log/1/'));
    for (const key of long) scene.flip(key, 200);
    const report = await scene.run();
    expect(report.warnings).toHaveLength(long.length);
    await scene.expectLog(commits);
    await rm(scene.target, { recursive: true });
    scene.flip(logKeys[2] ?? '', 100);
    await expect(scene.run()).rejects.toThrow(CorruptionError);
    await scene.expectNothing();
  });

  test('a log object that is cut short, too long, swapped or of another history is found', async () => {
    const { logKeys } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
    const [, one = '', two = ''] = logKeys;
    const original = { one: scene.bytesOf(one), two: scene.bytesOf(two) };
    const cases: [string, () => void][] = [
      ['cut', () => scene.client.store.set(one, original.one.subarray(0, -20))],
      ['empty', () => scene.client.store.set(one, new Uint8Array(0))],
      ['longer', () => scene.client.store.set(one, Buffer.concat([original.one, original.one]))],
      ['swapped', () => [scene.client.store.set(one, original.two), scene.client.store.set(two, original.one)]],
      ['noise', () => scene.client.store.set(one, Buffer.alloc(1000, 7))],
    ];
    for (const [name, damage] of cases) {
      damage();
      await expect(scene.run(), name).rejects.toThrow(CorruptionError);
      await scene.expectNothing();
      scene.client.store.set(one, original.one);
      scene.client.store.set(two, original.two);
    }
    expect((await scene.run()).warnings).toEqual([]);
  });

  test('a snapshot of another history than the log is not used', async () => {
    const { builder, commits, generation } = await buildSimpleStore({
      client: scene.client,
      replicaDir: SMALL,
      snapshots: [],
    });
    const bytes = encodeCommit({ version: 1, tx: txOffset(180n), records: Buffer.from('another history') });
    const stranger = { ...at(commits, 180n), bytes };
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: stranger });
    const report = await scene.run();
    expect(report.snapshot).toBeNull();
    expect(report.warnings).toHaveLength(1);
    await scene.expectLog(commits);
  });

  test('names that are none of ours are ignored, wherever they point', async () => {
    const { commits, generation } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
    const prefix = `generations/${generation}`;
    const hostile = [
      'generations/../../etc/passwd',
      `${prefix}/log/0/00000000000000000000/../../x.zst`,
      `${prefix}/snapshots/99999999999999999999/manifest.ndjson.zst`,
      `${prefix}/snapshots/../manifest.ndjson.zst`,
      'generations/.DS_Store',
    ];
    for (const key of hostile) scene.client.store.set(key, Buffer.from('x'));
    await scene.run();
    await scene.expectLog(commits);
  });
});

test('objects that are replaced by longer ones meanwhile lead to the planned point', async () => {
  const { builder, commits, generation, logKeys } = await buildSimpleStore({
    client: scene.client,
    replicaDir: SMALL,
    snapshots: [],
  });
  let promoted = false;
  const moving = scene.spying(async (key, options) => {
    if (!promoted && logKeys.includes(key)) {
      promoted = true;
      await builder.putLog(generation, { commits, commitsPerObject: 1000, level: 1, prev: crc32cValue(0) });
      await scene.client.delete(logKeys);
    }
    return scene.client.get(key, options);
  });
  const report = await scene.run({ client: moving });
  expect(report.position?.tx).toBe(299n);
  await scene.expectLog(commits);
});
