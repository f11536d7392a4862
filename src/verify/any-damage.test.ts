/**
 * Invariant: of random backups, whole ones have no damage; an object that was altered is found by a deep check and named;
 * where names alone tell that points of the restored line are lost, a quick check says so; and where a deep check finds no
 * damage, every point of that line can be restored.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { buildPointStore } from '../../test/support/point-stores.ts';
import { damageOf, VerifyScene } from '../../test/support/verify-scene.ts';
import { Random } from '../../test/sim/random.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { restore } from '../restore/restore.ts';
import { verifyStore } from './verify-store.ts';

const CASES = Number(process.env['STDB_TEST_VERIFY_CASES'] ?? 60);

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'stdb-verify-test-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

type Damage = 'flip' | 'cut' | 'swap' | 'delete';

async function inflict(scene: VerifyScene, random: Random): Promise<{ damage: Damage; keys: readonly string[] }> {
  const keys = scene.keys();
  const key = random.pick(keys);
  const bytes = scene.bytesOf(key);
  const damage = random.pick<Damage>(['flip', 'cut', 'swap', 'delete']);
  if (damage === 'delete') {
    await scene.client.delete([key]);
    return { damage, keys: [key] };
  }
  if (damage === 'swap') {
    const other = random.pick(keys.filter((one) => Buffer.compare(scene.bytesOf(one), bytes) !== 0));
    scene.client.store.set(key, scene.bytesOf(other));
    scene.client.store.set(other, bytes);
    return { damage, keys: [key, other] };
  }
  if (damage === 'cut') scene.client.store.set(key, bytes.subarray(0, random.int(0, bytes.byteLength - 1)));
  else scene.flip(key, random.int(0, bytes.byteLength - 1));
  return { damage, keys: [key] };
}

/** Whether the whole line of the head can be restored, by reading and writing it. */
async function restores(client: ReplicaClient, target: string, tx?: bigint): Promise<bigint | null> {
  const report = await restore({
    client,
    target,
    ...(tx === undefined ? {} : { point: { kind: 'tx', tx: tx as never } }),
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
  });
  await rm(target, { recursive: true, force: true });
  return report.position?.tx ?? null;
}

test(`${CASES} random damages`, { timeout: 600_000 }, async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= CASES; seed += 1) {
    const random = new Random(seed);
    const scene = new VerifyScene();
    const place = join(scratch, `${seed}`);
    const { lines } = await buildPointStore({ client: scene.client, scratch: place, seed });
    const line = lines.at(-1) ?? [];
    expect(damageOf(await scene.deep()), `seed ${seed}: nothing is damaged`).toEqual([]);

    const { damage, keys } = await inflict(scene, random);
    const name = `seed ${seed}: ${damage} of ${keys.join(' and ')}`;
    const deep = await scene.deep();
    seen.add(damage);
    if (damage !== 'delete') {
      const named = new Set(damageOf(deep).map(({ key }) => key));
      expect(
        keys.filter((key) => !named.has(key)),
        name,
      ).toEqual([]);
    }
    if (damageOf(deep).length === 0) {
      expect(await restores(scene.client, join(place, 'newest')), name).toBe(line.at(-1)?.last ?? null);
      const some = random.pick(line);
      expect(await restores(scene.client, join(place, 'point'), some.last), name).toBe(some.last);
    } else if (damage === 'delete') {
      expect(damageOf(await scene.quick()), `${name}: names tell it`).toHaveLength(damageOf(deep).length);
    }
    await rm(place, { recursive: true, force: true });
  }
  expect(typeof verifyStore).toBe('function');
  expect(seen.size).toBe(4);
});
