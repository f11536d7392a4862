// Invariant: the newest snapshot that is whole is stored, once; one that is not stands in nobody's way, neither the log's
// nor an older snapshot's.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ReplicatorScene } from '../../test/support/replicator-scene.ts';
import { diskFiles } from '../core/readable-files.ts';
import { blake3Hex } from '../core/checksum.ts';

const NEWEST = '00000000000000000180';
const newest = (scene: ReplicatorScene): string => scene.at('snapshots', `${NEWEST}.snapshot_dir`);

/** Paths of objects, as they are in the newest snapshot. */
async function objectsOf(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, 'objects'), { recursive: true });
  return names.filter((name) => name.length > 60).map((name) => join(directory, 'objects', name));
}

test('regression: a snapshot that lacks an object for good does not keep an older one from being stored', async () => {
  await using scene = await ReplicatorScene.open();
  const objects = await objectsOf(newest(scene));
  await rm(objects.at(-1) ?? '');
  const one = await scene.runOnceFailing('CORRUPTION');
  expect(one.status()).toMatchObject({ stored: { tx: 299n }, newestSnapshot: 1n });
});

test('regression: a snapshot of a form that is not known keeps neither the log nor an older one from being stored', async () => {
  await using scene = await ReplicatorScene.open();
  const path = join(newest(scene), `${NEWEST}.snapshot_bsatn`);
  const content = Buffer.from((await readFile(path)).subarray(32));
  content[8] = 9;
  await rm(path);
  await writeFile(path, Buffer.concat([Buffer.from(blake3Hex(content), 'hex'), content]));
  const one = await scene.runOnceFailing('UNSUPPORTED_FORMAT');
  expect(one.status()).toMatchObject({ stored: { tx: 299n }, newestSnapshot: 1n });
});

test('regression: an object that cannot be read keeps neither the log nor an older snapshot from being stored', async () => {
  await using scene = await ReplicatorScene.open();
  const shared = new Set((await objectsOf(scene.at('snapshots', '00000000000000000001.snapshot_dir'))).map(nameOf));
  const own = (await objectsOf(newest(scene))).find((path) => !shared.has(nameOf(path)));
  const files: typeof diskFiles = {
    ...diskFiles,
    open: (path) =>
      path === own ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : diskFiles.open(path),
  };
  const one = await scene.runOnceFailing('LOCAL_FILE', { files });
  expect(one.status()).toMatchObject({ stored: { tx: 299n }, newestSnapshot: 1n });
});

const nameOf = (path: string): string => path.slice(-64);

test('regression: a snapshot file that was read half written, before its lock was seen, is no damage', async () => {
  await using scene = await ReplicatorScene.open();
  const path = join(newest(scene), `${NEWEST}.snapshot_bsatn`);
  const whole = await readFile(path);
  const lock = scene.at('snapshots', `${NEWEST}.lock`);
  await writeFile(path, whole.subarray(0, 100));
  await writeFile(lock, '');
  let readings = 0;
  const files: typeof diskFiles = {
    ...diskFiles,
    list: async (directory) => {
      const names = await diskFiles.list(directory);
      // The server goes on when the start and the first try have read it.
      if (directory.endsWith('snapshots') && readings > 1) {
        await writeFile(path, whole);
        await rm(lock, { force: true });
      }
      return names?.filter((name) => !name.endsWith('.lock')) ?? null;
    },
    open: (opened) => {
      if (opened === path) readings += 1;
      return diskFiles.open(opened);
    },
  };
  const one = await scene.runOnce({ files });
  expect(readings).toBeGreaterThan(2);
  expect(one.status()).toMatchObject({ newestSnapshot: 180n, lastError: null });
});

test('regression: the newest stored snapshot of the line is told after a restart, too', async () => {
  await using scene = await ReplicatorScene.open();
  await scene.runOnce();
  await scene.killHolder();
  await scene.runOnce();
  await scene.killHolder();
  const one = await scene.runOnce();
  expect(one.status().newestSnapshot).toBe(180n);
});
