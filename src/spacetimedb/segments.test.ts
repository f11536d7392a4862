/** Invariant: exactly the segment files, by rising offset; what vanishes while they are listed is left out. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalFileError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { listSegments } from './segments.ts';

let clog: string;

beforeEach(() => {
  clog = mkdtempSync(join(tmpdir(), 'segments-'));
});

afterEach(() => {
  rmSync(clog, { recursive: true });
});

const FIRST = '00000000000000000000.stdb.log';
const SECOND = '00000000000000000147.stdb.log';

test('segments alone, in order, with what the disk says of them', async () => {
  writeFileSync(join(clog, SECOND), 'x'.repeat(12));
  writeFileSync(join(clog, FIRST), '');
  writeFileSync(join(clog, '00000000000000000147.stdb.ofs'), '');
  writeFileSync(join(clog, '.tmpAbC123'), '');
  writeFileSync(join(clog, '147.stdb.log'), '');
  mkdirSync(join(clog, '00000000000000000200.stdb.log'));
  const found = await listSegments(diskFiles, clog);
  expect(found.map(({ tx, name, path, size }) => ({ tx, name, path, size }))).toEqual([
    { tx: 0n, name: FIRST, path: join(clog, FIRST), size: 0 },
    { tx: 147n, name: SECOND, path: join(clog, SECOND), size: 12 },
  ]);
  const facts = await diskFiles.facts(join(clog, SECOND));
  expect(found[1]).toMatchObject({ device: facts?.device, inode: facts?.inode });
});

test('one that is gone by the time it is looked at is left out', async () => {
  writeFileSync(join(clog, FIRST), '');
  const files = { ...diskFiles, list: () => Promise.resolve([FIRST, SECOND]) };
  expect((await listSegments(files, clog)).map(({ tx }) => tx)).toEqual([0n]);
});

test('no directory has no segments, and an unreadable one is an error', async () => {
  expect(await listSegments(diskFiles, join(clog, 'nothing'))).toEqual([]);
  const failing = { ...diskFiles, list: () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) };
  await expect(listSegments(failing, clog)).rejects.toBeInstanceOf(LocalFileError);
});
