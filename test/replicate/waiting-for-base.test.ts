// Invariant: a database that waits for a snapshot asks its store nothing, however long it waits, and goes on when what was
// missing is there, also where no file came or went.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { judgeHealth } from '../../src/observe/health.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

const LAST = ['clog', '00000000000000000147.stdb.log'] as const;

test('damage without a snapshot behind it: no request, until the file is mended in place', async () => {
  await using scene = await ReplicatorScene.open();
  const whole = await readFile(scene.at(...LAST));
  const bad = Buffer.from(whole);
  bad[20_000] = 255 - (bad[20_000] ?? 0);
  await writeFile(scene.at(...LAST), bad);
  let looks = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + looks * 10_000,
    sleep: (ms, options) => {
      if (ms === 10_000) looks += 1;
      return systemClock.sleep(Math.min(ms, 1), options);
    },
  };
  let requests = 0;
  const { client } = scene;
  for (const verb of ['put', 'get', 'head'] as const) {
    const inner = MemoryReplicaClient.prototype[verb] as (...args: unknown[]) => unknown;
    Object.assign(client, { [verb]: (...args: unknown[]) => ((requests += 1), inner.apply(client, args)) });
  }
  const list = client.list.bind(client);
  client.list = (...args) => ((requests += 1), list(...args));
  const one = await scene.replicator({ once: false, clock });
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while (looks < 5) await systemClock.sleep(2);
  const before = requests;
  const from = looks;
  while (looks < from + 200) await systemClock.sleep(2);
  expect(requests - before).toBe(0);
  expect(one.status().damage).not.toBeNull();
  expect(one.status().lagSeconds).toBeGreaterThanOrEqual(2_000);
  await writeFile(scene.at(...LAST), whole);
  while (one.status().stored?.tx !== 299n) await systemClock.sleep(5);
  expect(one.status().damage).toBeNull();
  while (one.status().lagSeconds > 0) await systemClock.sleep(5);
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  await rm(scene.beside('x'), { force: true });
});

test('regression: a log that has waited for a snapshot since its writer began is late, not up to date', async () => {
  await using scene = await ReplicatorScene.open('v2-damaged/prefix-pruned');
  await rm(scene.at('snapshots'), { recursive: true });
  let aheadMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + aheadMs,
    sleep: (ms, options) => {
      aheadMs += ms;
      return systemClock.sleep(Math.min(ms, 1), options);
    },
  };
  const one = await scene.replicator({ once: false, clock });
  const running = one.run(new AbortController().signal);
  while (one.status().lagSeconds < 90) await systemClock.sleep(2);
  expect(judgeHealth([one.status()])).toMatchObject({ health: 'degraded' });
  one.drain();
  await expect(running).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
});
