/**
 * Invariant: a backup that was emptied, or one database of it, is damage and no place without a backup: a server that is
 * started on what such a restore gives would silently begin anew.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RestoreScene } from '../../../test/support/restore-scene.ts';
import { ServerStoreBuilder, type StoredImage } from '../../../test/support/server-store-builder.ts';
import { positionOf, type SimpleStore } from '../../../test/support/store-builder.ts';
import { vectorDirectory } from '../../../test/vectors/vectors.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { systemClock } from '../../core/clock.ts';
import { CorruptionError, NoBackupError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { prefixedClient } from '../../replica/wrap/prefixed.ts';
import type { RecordedCommit } from '../../../test/support/recorded-log.ts';
import { restoreServer } from './restore-server.ts';
import type { ServerRestoreReport } from './server-report.ts';

let scene: RestoreScene;
let builder: ServerStoreBuilder;
let store: SimpleStore;
let image: StoredImage;
beforeEach(async () => {
  scene = await RestoreScene.open();
  builder = new ServerStoreBuilder(scene.client);
  await builder.putFormat();
  store = await builder.putReplica(3n, vectorDirectory('v2-small'));
  const generation = await builder.putGeneration(1);
  const last = store.commits.at(-1) as RecordedCommit;
  const files = { 'metadata.toml': { content: 'version = "2.8.3"' } };
  await builder.putImage(generation, { time: 1_000_000n, files, replicas: [] });
  const position = { generation: store.generation, ...positionOf(last) };
  image = await builder.putImage(generation, { time: 2_000_000n, files, replicas: [3n], position });
  await builder.putHead(generation);
});
afterEach(() => scene[Symbol.asyncDispose]());

const run = (partial = false): Promise<ServerRestoreReport> =>
  restoreServer({
    client: scene.client,
    clientAt: (prefix) => prefixedClient(scene.client, prefix),
    target: scene.target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    partial,
  });

const remove = (shape: RegExp): Promise<unknown> =>
  scene.client.delete(scene.client.store.keys().filter((key) => shape.test(key)));

test('one database, documents and all: no reason to take an older image, which does not know it', async () => {
  await remove(/^replicas\/3\//);
  await expect(run()).rejects.toThrow(CorruptionError);
  await expect(run()).rejects.toThrow(/replica 3 .*stored up to/);
  await scene.expectNothing();
  const { missing, image: used } = await run(true);
  expect(missing.map(({ replicaId }) => replicaId)).toEqual([3n]);
  expect(used?.time).toBe(image.image.time);
});

test('everything but the heads', async () => {
  await remove(/\/log\/|\/snapshots\/|packs\/|\/images\//);
  await expect(run()).rejects.toThrow(CorruptionError);
  await expect(run()).rejects.toThrow(/head of replica 3/);
  await remove(/^replicas\//);
  // Nothing tells any more of what there was: a first start looks the same.
  await expect(run()).rejects.toThrow(NoBackupError);
  await builder.putGeneration(2, image);
  await expect(run()).rejects.toThrow(CorruptionError);
});
