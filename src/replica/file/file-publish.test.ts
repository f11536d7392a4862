/**
 * Invariant: a name is given once. Crash point: the answer to link(2) is lost, and the file system asks again by itself,
 * as NFS does: then EEXIST is said of our own file.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { linkNew } from './file-publish.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-file-publish-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

test('a name that is ours already was given by the answer that was lost', async () => {
  await writeFile(join(root, 'a'), 'mine');
  expect(await linkNew(join(root, 'a'), join(root, 'name'))).toBe(true);
  expect(await linkNew(join(root, 'a'), join(root, 'name'))).toBe(true);
});

test('a name that is another one’s is not touched, whatever it holds', async () => {
  await writeFile(join(root, 'a'), 'same');
  await writeFile(join(root, 'name'), 'same');
  expect(await linkNew(join(root, 'a'), join(root, 'name'))).toBe(false);
  expect(await readFile(join(root, 'name'), 'utf8')).toBe('same');
});
