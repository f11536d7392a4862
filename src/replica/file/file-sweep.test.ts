/**
 * Invariants: what a killed writer left a day ago is gone after the next one has written; nothing else ever is: no
 * object, no lock, no temporary of a writer that may live, nothing behind a link, nothing with a name like ours.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { FileReplicaClient } from './file-replica-client.ts';
import { LEFT_BEHIND_MS, sweepTemporaries } from './file-sweep.ts';

const OLD = '.stdb-tmp-0123456789abcdef';
const signal = new AbortController().signal;
let place: TemporaryDirectory;
let root: string;

beforeEach(async () => {
  place = await temporaryDirectory();
  root = place.at('store');
  await mkdir(root);
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function leave(path: string, ageMs: number): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, 'left behind');
  const at = (Date.now() - ageMs) / 1000;
  await utimes(path, at, at);
}

async function tree(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .flatMap((entry) => (entry.isDirectory() ? [] : [join(entry.parentPath, entry.name).slice(root.length + 1)]))
    .sort();
}

test('only what is ours, plain and old', async () => {
  const kept = [
    'a/object',
    'a/.stdb-tmp-fedcba9876543210',
    'a/.stdb-tmp-0123456789abcde',
    'a/.stdb-tmp-0123456789abcdef.bak',
    'a/.stdb-tmp-0123456789ABCDEF',
    'a/.stdb-lock-head.json',
    `.hidden/${OLD}`,
  ];
  for (const path of kept)
    await leave(join(root, path), path.endsWith('fedcba9876543210') ? LEFT_BEHIND_MS - 60_000 : 10 * LEFT_BEHIND_MS);
  for (const path of [OLD, `a/${OLD}`, `packs/00/${OLD}`]) await leave(join(root, path), LEFT_BEHIND_MS + 60_000);
  await leave(place.at('outside', OLD), 10 * LEFT_BEHIND_MS);
  await symlink(place.at('outside'), join(root, 'linked'));
  await symlink(place.at('outside', OLD), join(root, 'b-.stdb-tmp-0123456789abcdef'));
  expect(await sweepTemporaries(root, { signal, nowMs: Date.now() })).toBe(3);
  expect(await tree()).toEqual([...kept, 'linked', 'b-.stdb-tmp-0123456789abcdef'].sort());
  expect(await readdir(place.at('outside'))).toEqual([OLD]);
});

test('one that has its object already is only a second name', async () => {
  await leave(join(root, 'a/object'), 10 * LEFT_BEHIND_MS);
  await link(join(root, 'a/object'), join(root, 'a', OLD));
  await sweepTemporaries(root, { signal, nowMs: Date.now() });
  expect(await tree()).toEqual(['a/object']);
});

test('the clock that counts is that of the file system, not ours', async () => {
  await leave(join(root, 'a', OLD), 0);
  expect(await sweepTemporaries(root, { signal, nowMs: Date.now() - 100 * LEFT_BEHIND_MS })).toBe(0);
});

test('a client that writes sweeps once, beside its work; one that only reads removes nothing', async () => {
  await leave(join(root, 'a', OLD), 2 * LEFT_BEHIND_MS);
  const reader = new FileReplicaClient(root);
  for await (const _ of reader.list('')) expect.unreachable();
  await reader.close();
  expect(await tree()).toEqual([`a/${OLD}`]);

  const writer = new FileReplicaClient(root);
  await writer.put('b/x', Buffer.from('x'));
  await writer.close();
  expect(await tree()).toEqual(['b/x']);
  await leave(join(root, 'a', OLD), 2 * LEFT_BEHIND_MS);
  const again = new FileReplicaClient(root);
  await again.put('b/y', Buffer.from('y'));
  await again.put('b/z', Buffer.from('z'));
  await again.close();
  expect(await tree()).toEqual(['b/x', 'b/y', 'b/z']);
});

test('a writer that is killed while it writes leaves no object, and its temporary goes in the end', async () => {
  const clientModule = new URL('./file-replica-client.ts', import.meta.url).href;
  const script = `
    const { FileReplicaClient } = await import(${JSON.stringify(clientModule)});
    const client = new FileReplicaClient(${JSON.stringify(root)});
    await client.put('a/whole', Buffer.from('x'));
    await client.put('a/half', { open: async function* () {
      yield Buffer.alloc(1000);
      yield Buffer.alloc(1000);
      console.log('half');
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    } });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  const left = (await tree()).filter((path) => path !== 'a/whole');
  expect(left).toHaveLength(1);
  expect(left[0]).toMatch(/^a\/\.stdb-tmp-[0-9a-f]{16}$/);

  const reader = new FileReplicaClient(root);
  const keys: string[] = [];
  for await (const { key } of reader.list('')) keys.push(key);
  expect(keys).toEqual(['a/whole']);
  await reader.close();
  expect(await sweepTemporaries(root, { signal, nowMs: Date.now() })).toBe(0);
  expect(await sweepTemporaries(root, { signal, nowMs: Date.now() + LEFT_BEHIND_MS + 60_000 })).toBe(1);
  expect(await tree()).toEqual(['a/whole']);
});
