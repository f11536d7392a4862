/**
 * Invariant: wherever a restore is killed, and whatever becomes of what it left, the next one ends with exactly what an
 * uninterrupted one gives, nothing else around it, and nothing outside touched.
 *
 * STDB_TEST_KILLS: how many kills.
 */
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { contentOf, killRestore, stagingsOf, tamper } from '../../test/support/killed-restore.ts';
import { buildPointStore, type PointStore } from '../../test/support/point-stores.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { Random } from '../../test/sim/random.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { txOffset } from '../core/types.ts';
import type { PointRequest } from './point-request.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';
import { writeOwner } from './staging-owner.ts';

const KILLS = Number(process.env['STDB_TEST_KILLS'] ?? 25);
const STEPS_MAX = 40;
const SMALL = vectorDirectory('v2-small');

let scene: RestoreScene;
let left: RestoreScene;
let scratch: RestoreScene;
beforeEach(async () => {
  [scene, left, scratch] = [await RestoreScene.open(), await RestoreScene.open(), await RestoreScene.open()];
});
afterEach(async () => {
  for (const one of [scene, left, scratch]) await one[Symbol.asyncDispose]();
});

/** A target that is filled in place. */
const inside: TargetSystem = { ...realTargetSystem, isMountPoint: async (path) => basename(path) === 'target' };

interface Asked {
  readonly generation: string;
  readonly point: PointRequest;
}

function anyRequest(random: Random, { generations, lines }: PointStore): Asked {
  const index = random.int(0, lines.length - 1);
  const commit = random.pick(lines[index] ?? []);
  return { generation: generations[index] ?? '', point: { kind: 'tx', tx: commit.last } };
}

async function killOnce(seed: number): Promise<{ killed: boolean; reused: number; tampered: boolean }> {
  const random = new Random(seed);
  const store = await buildPointStore({ client: scene.client, scratch: join(scratch.root, 'made'), seed });
  const first = anyRequest(random, store);
  const second = random.chance(0.7) ? first : anyRequest(random, store);
  await scene.run(second);
  const expected = await contentOf(scene.target);
  await scene.clear();

  const system = random.chance(0.5) ? realTargetSystem : inside;
  await mkdir(scene.target);
  const killed = await killRestore(scene, { at: random.int(1, STEPS_MAX), into: left, system }, first);
  if (!killed) await mkdir(left.target, { recursive: true });
  const outside = join(scratch.root, 'outside');
  await writeFile(outside, 'not ours');
  const tampered = random.chance(0.6);
  if (tampered) for (let count = random.int(1, 3); count > 0; count -= 1) await tamper(random, left, outside);
  if (system === inside && random.chance(0.3)) await publishSome();
  const { reusedBytes } = await left.run({ ...second, client: scene.client, system });
  expect(await contentOf(left.target), `seed ${seed}`).toEqual(expected);
  expect(await readdir(left.root), `seed ${seed}`).toEqual(['target']);
  expect(await readFile(outside, 'utf8')).toBe('not ours');
  return { killed, reused: reusedBytes, tampered };
}

/** As if the kill had come while the entries of a finished restore were renamed in. */
async function publishSome(): Promise<void> {
  for (const staging of await stagingsOf(left)) {
    await rename(join(staging, 'content', 'snapshots'), join(left.target, 'snapshots')).catch(() => undefined);
  }
}

test('any kill, any leftovers', { timeout: 600_000 }, async () => {
  let [kills, reuses, tamperedReuses] = [0, 0, 0];
  for (let seed = 1; kills < KILLS; seed += 1) {
    const { killed, reused, tampered } = await killOnce(seed);
    kills += Number(killed);
    reuses += Number(reused > 0);
    tamperedReuses += Number(reused > 0 && tampered);
    for (const one of [scene, left, scratch]) await one[Symbol.asyncDispose]();
    [scene, left, scratch] = [await RestoreScene.open(), await RestoreScene.open(), await RestoreScene.open()];
  }
  expect(reuses).toBeGreaterThan(KILLS / 10);
  expect(tamperedReuses).toBeGreaterThan(0);
});

test('what was written whole is not fetched again', async () => {
  await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
  const whole = await scene.run();
  const expected = await contentOf(scene.target);
  await scene.clear();
  const fetched = new Map<number, number>();
  for (let at = 1; await killRestore(scene, { at, into: left }, {}); at += 2) {
    const report = await left.run({ client: scene.client });
    expect(await contentOf(left.target)).toEqual(expected);
    fetched.set(report.reusedBytes, report.fetchedBytes);
    await left[Symbol.asyncDispose]();
    left = await RestoreScene.open();
  }
  expect(fetched.get(0)).toBe(whole.fetchedBytes);
  const [most = 0] = [...fetched.keys()].sort((a, b) => b - a);
  expect(most).toBeGreaterThan(whole.plainBytes / 2);
  expect(fetched.get(most)).toBeLessThan(whole.fetchedBytes / 2);
});

test('what a running restore writes is left to it', async () => {
  await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
  await killRestore(scene, { at: 12, into: left }, {});
  const [staging = ''] = await stagingsOf(left);
  await writeOwner(staging);
  const before = await contentOf(left.root);
  await expect(left.run({ client: scene.client })).rejects.toThrow('another restore');
  expect(await contentOf(left.root)).toEqual(before);
});

test('other owners than those of what was left: all is written anew', async () => {
  await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
  await killRestore(scene, { at: 30, into: left }, {});
  const { reusedBytes } = await left.run({ client: scene.client, ownership: { mode: 0o750 } });
  expect(reusedBytes).toBe(0);
});

test('an object that goes while a restore runs costs nothing of what was written', async () => {
  const { commits, logKeys } = await buildSimpleStore({ client: scene.client, replicaDir: SMALL, snapshots: [] });
  const gone = logKeys.at(-1) ?? '';
  const higher = gone.replace('/log/0/', '/log/1/');
  const client = scene.spying(async (key, options) => {
    if (key === gone) {
      scene.client.store.set(higher, scene.bytesOf(gone));
      scene.client.store.objects.delete(gone);
    }
    return await scene.client.get(key, options);
  });
  const report = await scene.run({ client, parallelism: 1 });
  expect(report.position).toMatchObject({ tx: txOffset(299n) });
  expect(report.reusedBytes).toBeGreaterThan(report.plainBytes / 2);
  await scene.expectLog(commits);
});
