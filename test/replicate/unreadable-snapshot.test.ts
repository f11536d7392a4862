// Invariant: a snapshot that cannot be read, be it damaged or on a bad sector, does not keep the log from being stored.
import { expect, test } from 'vitest';
import { diskFiles } from '../../src/core/readable-files.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

test('the file of the newest snapshot cannot be read', async () => {
  await using scene = await ReplicatorScene.open();
  const files = new FaultyFiles(diskFiles, {
    fails: (_, call, path) => (call === 'file.read' && path.endsWith('180.snapshot_bsatn') ? 'EIO' : null),
  });
  const one = await scene.replicator({ files });
  await expect(one.run(new AbortController().signal)).rejects.toThrow('EIO');
  expect((await scene.logObjects()).at(-1)?.last).toBe(299n);
});
