/** Invariant: a path is one of five kinds by its names alone, and what cannot be read is an error, never absence. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyVector, vectorDirectory } from '../../test/vectors/vectors.ts';
import { LocalFileError } from '../core/errors.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { classifyDirectory } from './classify-directory.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'classify-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('real directories', async () => {
  expect(await classifyDirectory(diskFiles, vectorDirectory('v2-small'))).toEqual({ kind: 'replica' });
  const server = join(directory, 'data');
  copyVector('server-2.8', server);
  expect(await classifyDirectory(diskFiles, server)).toEqual({
    kind: 'server',
    replicas: [join(server, 'replicas/1'), join(server, 'replicas/3')],
  });
});

test('replicas are listed by rising id, and nothing else is', async () => {
  for (const name of ['replicas/10', 'replicas/9', 'replicas/2000001', 'replicas/x', 'replicas/01']) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  writeFileSync(join(directory, 'replicas/7'), '');
  expect(await classifyDirectory(diskFiles, directory)).toEqual({
    kind: 'server',
    replicas: ['9', '10', '2000001'].map((id) => join(directory, 'replicas', id)),
  });
});

test('a server that has not made a database yet', async () => {
  writeFileSync(join(directory, 'metadata.toml'), '');
  expect(await classifyDirectory(diskFiles, directory)).toEqual({ kind: 'server', replicas: [] });
});

test('empty, absent and other', async () => {
  expect(await classifyDirectory(diskFiles, directory)).toEqual({ kind: 'empty' });
  mkdirSync(join(directory, 'lost+found'));
  writeFileSync(join(directory, 'config.toml'), '');
  expect(await classifyDirectory(diskFiles, directory)).toEqual({ kind: 'empty' });
  expect(await classifyDirectory(diskFiles, join(directory, 'nothing'))).toEqual({ kind: 'absent' });
  writeFileSync(join(directory, 'file'), '');
  expect(await classifyDirectory(diskFiles, join(directory, 'file'))).toEqual({ kind: 'other' });
  expect(await classifyDirectory(diskFiles, directory)).toEqual({ kind: 'other' });
});

test('what may not be read is an error that names the path', async () => {
  const denied: ReadableFiles = {
    ...diskFiles,
    list: () => Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })),
  };
  const failure = await classifyDirectory(denied, directory).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(LocalFileError);
  expect(failure).toMatchObject({ facts: { path: directory, systemCode: 'EACCES' } });
});
