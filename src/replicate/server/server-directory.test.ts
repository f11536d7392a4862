/** Invariant: what an image lists is what can be restored: databases with a commit, and whole names of programs. */
import { mkdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ServerScene } from '../../../test/support/server-scene.ts';
import { diskFiles } from '../../core/readable-files.ts';
import { formatSegmentName } from '../../spacetimedb/file-names.ts';
import { txOffset } from '../../core/types.ts';
import { listPrograms, listReplicaIds } from './server-directory.ts';

const SEGMENT = formatSegmentName(txOffset(0));

test('databases: by rising id, those alone whose log holds more than a header', async () => {
  await using scene = await ServerScene.open();
  scene.write(`replicas/20/clog/${SEGMENT}`, 'x'.repeat(11));
  scene.write(`replicas/5/clog/${SEGMENT}`, 'x'.repeat(10));
  scene.write('replicas/6/clog/00000000000000000000.stdb.ofs', 'x'.repeat(4096));
  scene.write(`replicas/07/clog/${SEGMENT}`, 'x'.repeat(11));
  scene.write(`replicas/../clog/${SEGMENT}`, 'x'.repeat(11));
  scene.write('replicas/note', 'x');
  mkdirSync(scene.at('replicas/8'));
  expect(await listReplicaIds(diskFiles, scene.data)).toEqual([1n, 3n, 20n]);
  expect(await listReplicaIds(diskFiles, scene.at('absent'))).toEqual([]);
});

test('a database that cannot be looked at is listed: an image must not pass it over', async () => {
  await using scene = await ServerScene.open();
  const files = {
    ...diskFiles,
    list: async (path: string) => {
      if (path.includes('replicas/3/')) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
      return diskFiles.list(path);
    },
  };
  expect(await listReplicaIds(files, scene.data)).toEqual([1n, 3n]);
});

test('programs: none that is being written, and nothing else', async () => {
  await using scene = await ServerScene.open();
  const name = '0'.repeat(62);
  for (const path of [`aa/${name}.tmp123`, `AA/${name}`, `abc/${name}`, `aa/${name}0`, 'aa/x', name]) {
    scene.write(`program-bytes/${path}`, 'x');
  }
  expect(await listPrograms(diskFiles, scene.data)).toEqual([
    'bfee21bc0841f79ebb4b9577c0bbca75447c13190559dbbf9161a961ef114be0',
  ]);
  scene.write(`program-bytes/aa/${name}`, 'x');
  expect(await listPrograms(diskFiles, scene.data)).toHaveLength(2);
});
