// Invariant: told to end while it waits after a failure, a writer looks once more: what came meanwhile may be readable now.
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
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

test('a failure that lasts: no good end, and it is said what is stored', async () => {
  await using scene = await ReplicatorScene.open();
  let isBroken = false;
  const files = new FaultyFiles(diskFiles, { fails: (_, call) => (isBroken && call === 'file.read' ? 'EIO' : null) });
  const said: string[] = [];
  const log = { ...silentLog, error: (text: string) => said.push(text) };
  const one = await scene.replicator({ once: false, files, log });
  const running = one.run(new AbortController().signal);
  while (one.status().stored?.tx !== 299n) await systemClock.sleep(2);
  isBroken = true;
  one.drain();
  await expect(running).rejects.toMatchObject({ code: 'LOCAL_FILE', exitCode: 1 });
  expect(said).toContain('the last look at the log failed: stored up to transaction 299, what follows may not be');
  expect((await scene.head()).released).toBe(true);
});

test('of a snapshot that cannot be read alone: no good end, but the log is stored, and nothing else is said', async () => {
  await using scene = await ReplicatorScene.open();
  const files = new FaultyFiles(diskFiles, {
    fails: (_, call, path) => (call === 'list' && path.endsWith('snapshots') ? 'EACCES' : null),
  });
  const said: string[] = [];
  const log = { ...silentLog, error: (text: string) => said.push(text) };
  const one = await scene.replicator({ once: false, files, log });
  const running = one.run(new AbortController().signal);
  while (one.status().stored?.tx !== 299n || one.status().snapshotProblem === null) await systemClock.sleep(2);
  one.drain();
  await expect(running).rejects.toMatchObject({ code: 'LOCAL_FILE', exitCode: 1 });
  expect(said).toEqual([expect.stringMatching(/^no snapshot can be backed up: .*EACCES/)]);
});
