// Invariant: a line of which nothing can be restored is never called healthy.
import { readFile, writeFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { silentLog } from '../../src/core/log.ts';
import { restore } from '../../src/restore/restore.ts';
import { judgeHealth } from '../../src/observe/health.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

test('a line that cannot be restored is not healthy', async () => {
  await using scene = await ReplicatorScene.open('v2-damaged/prefix-pruned');
  for (const dir of await readdir(scene.at('snapshots'))) {
    if (!dir.endsWith('.snapshot_dir')) continue;
    const objects = scene.at('snapshots', dir, 'objects');
    const sub = (await readdir(objects))[0] as string;
    const name = (await readdir(join(objects, sub)))[0] as string;
    const bytes = await readFile(join(objects, sub, name));
    bytes[100] = 255 - (bytes[100] ?? 0);
    await writeFile(join(objects, sub, name), bytes);
  }
  const one = await scene.replicator({ once: false });
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while (one.status().stored?.tx !== 119n) await systemClock.sleep(5);
  while (one.status().snapshotProblem === null) await systemClock.sleep(5);
  const status = one.status();
  stop.abort(new Error('enough'));
  await running.catch(() => undefined);
  const restoring = restore({
    client: scene.client,
    target: scene.beside('restored'),
    budget: new ByteBudget(100_000_000),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
  });
  await expect(restoring).rejects.toMatchObject({ exitCode: 15 });
  expect(judgeHealth([status])).toMatchObject({ ready: true, health: 'degraded' });
});
