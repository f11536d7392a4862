/**
 * Invariant: a restore that races compaction and retention ends where it was asked to, with exactly the right commits, as
 * long as the store holds them in any object.
 *
 * STDB_TEST_RETENTION_RACES: how many restores.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BusyRetention } from '../../test/support/busy-retention.ts';
import { buildPointStore } from '../../test/support/point-stores.ts';
import { readRecordedLog } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { Random } from '../../test/sim/random.ts';
import { silentLog } from '../core/log.ts';

const RACES = Number(process.env['STDB_TEST_RETENTION_RACES'] ?? 40);
/** Fewer than a restore finds objects gone before it gives up. */
const STEPS_MAX = 24;

let scene: RestoreScene;
let scratch: RestoreScene;
beforeEach(async () => {
  [scene, scratch] = [await RestoreScene.open(), await RestoreScene.open()];
});
afterEach(async () => {
  for (const one of [scene, scratch]) await one[Symbol.asyncDispose]();
});

/** Gives how many plans the restore needed. */
async function raceOnce(seed: number): Promise<{ plans: number; reused: boolean }> {
  const random = new Random(seed);
  const store = await buildPointStore({ client: scene.client, scratch: join(scratch.root, 'made'), seed });
  const index = random.int(0, store.lines.length - 1);
  const line = store.lines[index] ?? [];
  const last = random.pick(line);
  const retention = new BusyRetention(random, store, scene.client);
  const busy = random.next() * 0.6;
  let steps = 0;
  let retaining = Promise.resolve();
  const client = scene.spying(async (key, options) => {
    if (steps < STEPS_MAX && random.chance(busy)) {
      steps += 1;
      if (random.chance(0.1)) retention.deleteSnapshot();
      // One after the other, as one holder of the head would.
      else await (retaining = retaining.then(() => retention.replaceSome()));
    }
    return await scene.client.get(key, options);
  });
  let gone = 0;
  const log = { ...silentLog, warn: () => void (gone += 1) };
  const generation = store.generations[index];
  const { position, reusedBytes } = await scene.run({ client, generation, point: { kind: 'tx', tx: last.last }, log });
  expect(position, `seed ${seed}`).toEqual({ tx: last.last, crc: last.crc, time: last.time });
  const found = await readRecordedLog(scene.target);
  const text = ({ first, bytes }: { first: bigint; bytes: Uint8Array }): string =>
    `${first} ${Buffer.from(bytes).toString('hex')}`;
  const expected = line.filter((commit) => commit.last <= last.last).slice(-found.length);
  expect(found.length, `seed ${seed}`).toBeGreaterThan(0);
  expect(found.map(text), `seed ${seed}`).toEqual(expected.map(text));
  expect(await readdir(scene.root)).toEqual(['target']);
  return { plans: gone + 1, reused: reusedBytes > 0 };
}

test('objects go at any moment, and longer ones hold what they held', { timeout: 300_000 }, async () => {
  let [again, reused] = [0, 0];
  for (let seed = 1; seed <= RACES; seed += 1) {
    const race = await raceOnce(seed);
    again += Number(race.plans > 1);
    reused += Number(race.reused);
    for (const one of [scene, scratch]) await one[Symbol.asyncDispose]();
    [scene, scratch] = [await RestoreScene.open(), await RestoreScene.open()];
  }
  expect(again).toBeGreaterThan(RACES / 8);
  expect(reused).toBeGreaterThan(0);
});
