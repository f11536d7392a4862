// Invariant: an armed bell rings for an append; where it may be expected to is known before it ever rang.
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { DirectoryBell } from './directory-bell.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stdb-bell-'));
  await mkdir(join(directory, 'clog'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

test('an append rings', async () => {
  const path = join(directory, 'clog', 'segment');
  await writeFile(path, 'a');
  await using bell = new DirectoryBell([join(directory, 'clog')], { log: silentLog });
  const rang = new Promise<void>((resolve, reject) => {
    bell.arm(resolve).then(() => appendFile(path, 'b'), reject);
  });
  await rang;
  expect(bell.rings).toBeGreaterThan(0);
  await bell.disarm();
  expect(bell.armed).toBe(false);
});

test('regression: a directory that is not there yet is trusted as the one above it', async () => {
  await using here = new DirectoryBell([directory], { log: silentLog });
  await using absent = new DirectoryBell([directory, join(directory, 'snapshots')], { log: silentLog });
  await here.arm(() => undefined);
  await absent.arm(() => undefined);
  expect(absent.trusted).toBe(here.trusted);
});

test('nothing is trusted where nothing is known', async () => {
  await using bell = new DirectoryBell([join(directory, 'not', 'there')], { log: silentLog });
  await bell.arm(() => undefined);
  expect(bell.trusted).toBe(false);
});
