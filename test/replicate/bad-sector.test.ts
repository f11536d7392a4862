// Invariant: what can be read before a place that cannot is stored.
import { expect, test } from 'vitest';
import { diskFiles, type ReadableFile, type ReadableFiles } from '../../src/core/readable-files.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';
import { LongLog } from '../support/long-log.ts';
import { rm } from 'node:fs/promises';

const badAt = (bytes: number): ReadableFiles => ({
  ...diskFiles,
  open: async (path) => {
    const file = await diskFiles.open(path);
    if (file === null || !path.endsWith('.stdb.log')) return file;
    const read: ReadableFile['read'] = async (target, position) => {
      if (position + target.byteLength > bytes && position <= bytes)
        throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read', path, errno: -5 });
      return file.read(target, position);
    };
    return {
      path: file.path,
      facts: () => file.facts(),
      read,
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  },
});

test('a bad sector behind 4 MB of good commits', async () => {
  await using scene = await ReplicatorScene.open();
  await rm(scene.database, { recursive: true });
  const log = await LongLog.create(scene.database);
  await log.append(80, { bytes: 64 * 1024 });
  const one = await scene.replicator({ files: badAt(4_000_000) });
  await expect(one.run(new AbortController().signal)).rejects.toThrow('EIO');
  expect((await scene.logObjects()).at(-1)?.last ?? -1n).toBeGreaterThan(40n);
});
