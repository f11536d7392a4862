/**
 * Invariants: one holder at a time; a lock is broken only when its process is proven dead; whoever waits in vain is
 * told which file and which process. Crash points: a process killed while it holds the lock, and while it breaks one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ProcessIdentity, readProcessIdentity } from '../../core/process-identity.ts';
import { UnavailableError } from '../replica-client.ts';
import { acquireFileLock, lockPathOf } from './file-lock.ts';
import { FileReplicaClient } from './file-replica-client.ts';

let root: string;
const never = new AbortController().signal;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-file-lock-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

/** Another Node process that holds the lock of `path` until it is killed. */
async function holdInAnotherProcess(path: string): Promise<{ kill(): Promise<void>; pid: number }> {
  const lockModule = new URL('./file-lock.ts', import.meta.url).href;
  const script = `
    const { acquireFileLock } = await import(${JSON.stringify(lockModule)});
    await acquireFileLock(${JSON.stringify(path)}, { signal: new AbortController().signal, timeoutMs: 5000 });
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? -1,
    async kill() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test('the lock of a killed process is broken', async () => {
  const path = join(root, 'head.json');
  const holder = await holdInAnotherProcess(path);
  await holder.kill();
  expect(await readdir(root)).toEqual(['.stdb-lock-head.json']);
  const lock = await acquireFileLock(path, { signal: never, timeoutMs: 5000 });
  await lock[Symbol.asyncDispose]();
  expect(await readdir(root)).toEqual([]);
});

test('the lock of a live process is waited for, then named', async () => {
  const client = new FileReplicaClient(root, { requestTimeoutMs: 400 });
  const { version } = await client.put('head.json', Buffer.from('1'));
  const path = join(root, 'head.json');
  const holder = await holdInAnotherProcess(path);
  try {
    const error = await client
      .put('head.json', Buffer.from('2'), { ifMatch: version })
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnavailableError);
    expect((error as Error).message).toContain(lockPathOf(path));
    expect((error as Error).message).toContain(String(holder.pid));
    expect((await client.head('head.json')).version).toBe(version);
  } finally {
    await holder.kill();
  }
  await client.put('head.json', Buffer.from('3'), { ifMatch: version });
  expect((await readdir(root)).sort()).toEqual(['head.json']);
});

test('a lock that is let go is taken by who waits', async () => {
  const path = join(root, 'head.json');
  const first = await acquireFileLock(path, { signal: never, timeoutMs: 5000 });
  const second = acquireFileLock(path, { signal: never, timeoutMs: 5000 });
  await delay(20);
  await first[Symbol.asyncDispose]();
  await (await second)[Symbol.asyncDispose]();
});

test('many processes that find a dead lock break it once and then hold it one at a time', async () => {
  const path = join(root, 'head.json');
  await leaveLock(path, { startTime: '1' });
  let holders = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      await using _lock = await acquireFileLock(path, { signal: never, timeoutMs: 20_000 });
      holders += 1;
      expect(holders).toBe(1);
      await delay(1);
      holders -= 1;
    }),
  );
  expect(await readdir(root)).toEqual([]);
});

test('a process killed while it broke a lock does not leave it unbreakable', async () => {
  const path = join(root, 'head.json');
  await leaveLock(path, { startTime: '1' });
  await writeFile(`${lockPathOf(path)}.0000000000000001`, await readFile(lockPathOf(path)));
  const lock = await acquireFileLock(path, { signal: never, timeoutMs: 5000 });
  await lock[Symbol.asyncDispose]();
});

test.each([
  ['another pid namespace', { pidNamespace: '1', startTime: '1' }],
  ['another machine', { machineId: 'other', bootId: 'other' }],
  ['an unknown start time', { startTime: null }],
])('a lock whose holder cannot be proven dead stays: %s', async (_, changed) => {
  const path = join(root, 'head.json');
  await leaveLock(path, changed);
  await expect(acquireFileLock(path, { signal: never, timeoutMs: 50 })).rejects.toThrow(UnavailableError);
});

test('a lock file that nobody understands stays and is named', async () => {
  const path = join(root, 'head.json');
  await writeFile(lockPathOf(path), 'what?');
  await expect(acquireFileLock(path, { signal: never, timeoutMs: 50 })).rejects.toThrow('an unknown process');
});

test('waiting ends with the signal', async () => {
  const path = join(root, 'head.json');
  await leaveLock(path, {});
  const controller = new AbortController();
  const waiting = acquireFileLock(path, { signal: controller.signal, timeoutMs: 60_000 });
  controller.abort(new Error('stop'));
  await expect(waiting).rejects.toThrow('stop');
});

async function leaveLock(path: string, changed: Partial<ProcessIdentity>): Promise<void> {
  const identity = { ...(await readProcessIdentity()), ...changed };
  await writeFile(lockPathOf(path), JSON.stringify({ token: '0000000000000001', process: identity }));
}
