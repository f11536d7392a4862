// Invariant: told to end while it waits after a failure, a writer looks once more: what came meanwhile may be readable now.
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

test('a failure that has passed when it is told to end', async () => {
  await using scene = await ReplicatorScene.open();
  let isBroken = true;
  const files = new FaultyFiles(diskFiles, { fails: (_, call) => (isBroken && call === 'file.read' ? 'EIO' : null) });
  const one = await scene.replicator({ once: false, files, random: () => 0.99 });
  const running = one.run(new AbortController().signal);
  while (one.status().lastError === null) await systemClock.sleep(2);
  while (files.struck < 4) await systemClock.sleep(2);
  await systemClock.sleep(20);
  isBroken = false;
  one.drain();
  await running;
  expect(one.status().stored?.tx).toBe(299n);
});
