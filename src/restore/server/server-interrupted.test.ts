/** Invariant: the restore of a whole server that was killed anywhere goes on, and ends with exactly what one run gives. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contentOf, killRestore, stagingsOf, tamper } from '../../../test/support/killed-restore.ts';
import { RestoreScene } from '../../../test/support/restore-scene.ts';
import { ServerStoreBuilder } from '../../../test/support/server-store-builder.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { Random } from '../../../test/sim/random.ts';
import { vectorDirectory } from '../../../test/vectors/vectors.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { systemClock } from '../../core/clock.ts';
import { CorruptionError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import type { GenerationName } from '../../layout/keys.ts';
import { replicaPrefix } from '../../layout/server-keys.ts';
import { prefixedClient } from '../../replica/wrap/prefixed.ts';
import type { RestoreOptions } from '../restore.ts';
import type { UnfinishedRestore } from '../unfinished.ts';
import { restoreServer } from './restore-server.ts';
import type { ServerRestoreReport } from './server-report.ts';

const SMALL = vectorDirectory('v2-small');
const BATCHED = vectorDirectory('v2-batched/v1');

let scene: RestoreScene;
let left: RestoreScene;
let builder: ServerStoreBuilder;
let generation: GenerationName;
beforeEach(async () => {
  [scene, left] = [await RestoreScene.open(), await RestoreScene.open()];
  builder = new ServerStoreBuilder(scene.client);
  await builder.putFormat();
  generation = await builder.putGeneration(1);
  await builder.putReplica(1n, SMALL);
  await builder.putReplica(3n, BATCHED);
  await builder.putImage(generation, {
    time: 1_000_000n,
    files: {
      'metadata.toml': { content: 'version = "2.8.3"' },
      'config.toml': { content: '[commitlog]' },
      'control-db/db': { content: 'pages'.repeat(100) },
    },
    directories: ['control-db'],
    programs: ['a module'],
    replicas: [1n, 3n],
  });
  await builder.putHead(generation);
});
afterEach(async () => {
  for (const one of [scene, left]) await one[Symbol.asyncDispose]();
});

const runIn = (
  { target }: RestoreScene,
  options: Partial<RestoreOptions> & Pick<RestoreOptions, 'client'>,
): Promise<ServerRestoreReport> =>
  restoreServer({
    clientAt: (prefix) => prefixedClient(options.client, prefix),
    target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    ...options,
  });

const reusedBytes = ({ replicas }: ServerRestoreReport): number =>
  replicas.reduce((sum, replica) => sum + replica.reusedBytes, 0);

test('any kill, any leftovers', { timeout: 120_000 }, async () => {
  const whole = await runIn(scene, { client: scene.client });
  const expected = await contentOf(scene.target);
  await scene.clear();
  const random = new Random(5);
  await using outside = await temporaryDirectory();
  await writeFile(outside.at('file'), 'not ours');
  let most = 0;
  for (const at of [3, 9, 14, 20, 26, 33, 40, 48, 60]) {
    const killed = await killRestore(scene, { at, into: left, run: (all) => runIn(scene, all) }, {});
    if (killed && random.chance(0.4)) await tamper(random, left, outside.at('file'));
    // A database of another image, say: it is no part of this one.
    for (const staging of await stagingsOf(left))
      await mkdir(join(staging, 'content', 'replicas', '9'), { recursive: true });
    if (!killed) await mkdir(left.target);
    const report = await runIn(left, { client: scene.client });
    expect(await contentOf(left.target), `at ${at}`).toEqual(expected);
    expect(await readdir(left.root)).toEqual(['target']);
    expect(await readdir(join(left.target, 'replicas'))).toEqual(['1', '3']);
    most = Math.max(most, reusedBytes(report));
    await left[Symbol.asyncDispose]();
    left = await RestoreScene.open();
  }
  expect(await readFile(outside.at('file'), 'utf8')).toBe('not ours');
  expect(most).toBeGreaterThan(whole.plainBytes / 3);
});

test('what a killed restore of one database left is no part of a whole server, nor the other way round', async () => {
  const expected = {
    server: await runIn(scene, { client: scene.client }).then(() => contentOf(scene.target)),
    one: new Map<string, string>(),
  };
  await scene.clear();
  const one = prefixedClient(scene.client, replicaPrefix(1n));
  await scene.run({ client: one });
  expected.one = await contentOf(scene.target);
  await scene.clear();
  const runOne = (all: Partial<RestoreOptions> & Pick<RestoreOptions, 'client'>): Promise<unknown> =>
    scene.run({ ...all, client: prefixedClient(all.client, replicaPrefix(1n)) });
  let adopted = 0;
  for (const at of [12, 20, 28]) {
    if (!(await killRestore(scene, { at, into: left, run: runOne }, {}))) continue;
    await runIn(left, { client: scene.client });
    expect((await readdir(left.target)).toSorted()).toEqual(
      ['config.toml', 'control-db', 'metadata.toml', 'program-bytes', 'replicas'].toSorted(),
    );
    expect(await contentOf(left.target)).toEqual(expected.server);
    adopted += 1;
    await left[Symbol.asyncDispose]();
    left = await RestoreScene.open();
  }
  expect(adopted).toBeGreaterThan(0);
  for (const at of [30, 45]) {
    if (!(await killRestore(scene, { at, into: left, run: (all) => runIn(scene, all) }, {}))) continue;
    await left.run({ client: one });
    expect(await contentOf(left.target)).toEqual(expected.one);
    expect((await readdir(left.target)).toSorted()).toEqual(['clog', 'snapshots']);
    await left[Symbol.asyncDispose]();
    left = await RestoreScene.open();
  }
});

describe('an image that turns out to be unusable', () => {
  /** By then both databases have something. */
  const LATE = 76;

  /** A newer one than the image that was being restored, of fewer databases, with a flipped bit in a file. */
  async function putDamagedImage(): Promise<void> {
    const before = new Set(scene.client.store.keys());
    await builder.putImage(generation, {
      time: 2_000_000n,
      files: { 'config.toml': { content: '[other]' } },
      replicas: [1n],
    });
    const key = scene.client.store.keys().find((name) => !before.has(name) && !name.includes('manifest')) ?? '';
    scene.flip(key, scene.bytesOf(key).byteLength - 6);
  }

  test('leaves what an interrupted restore wrote of databases to the attempt with another one', async () => {
    const expected = await runIn(scene, { client: scene.client }).then(() => contentOf(scene.target));
    await scene.clear();
    expect(await killRestore(scene, { at: LATE, into: left, run: (all) => runIn(scene, all) }, {})).toBe(true);
    await putDamagedImage();
    const report = await runIn(left, { client: scene.client });
    expect(report.image?.time).toBe(1_000_000n);
    expect(await contentOf(left.target)).toEqual(expected);
    expect(await readdir(left.root)).toEqual(['target']);
    expect(report.replicas.map(({ replicaId, reusedBytes: bytes }) => [replicaId, bytes > 0])).toEqual([
      [1n, true],
      [3n, true],
    ]);
  });

  test('and where there is no other one, it stays on the disk, and somebody is told', async () => {
    expect(await killRestore(scene, { at: LATE, into: left, run: (all) => runIn(scene, all) }, {})).toBe(true);
    for (const key of scene.client.store.keys().filter((name) => name.includes('/images/'))) {
      if (!key.includes('manifest')) scene.flip(key, scene.bytesOf(key).byteLength - 6);
    }
    const told: UnfinishedRestore[] = [];
    const onUnfinished = (one: UnfinishedRestore): void => void told.push(one);
    await expect(runIn(left, { client: scene.client, onUnfinished })).rejects.toThrow(CorruptionError);
    expect(told.map(({ path }) => path)).toEqual(await stagingsOf(left));
    expect(told[0]?.bytes).toBeGreaterThan(0);
  });

  test('and where nothing was taken over, nothing stays', async () => {
    await putDamagedImage();
    await runIn(left, { client: scene.client });
    expect(await readdir(left.root)).toEqual(['target']);
  });
});
