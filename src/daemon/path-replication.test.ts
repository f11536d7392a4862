// Invariant: a path is waited for in the service, whatever stands in the way, and becomes what turns up there; told to end
// before that, it ends well; nothing is asked of the store meanwhile.
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { copyVector } from '../../test/vectors/vectors.ts';
import { systemClock } from '../core/clock.ts';
import { LocalFileError } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { identifyWriter } from '../replicate/writer.ts';
import { MemoryShares } from './memory-shares.ts';
import { PathReplication, requireSource } from './path-replication.ts';
import type { ReplicationContext } from './replication.ts';
import { Supervisor } from './supervisor.ts';

let directory: TemporaryDirectory;
let stop: AbortController;
let context: ReplicationContext;
let said: string[];

const log: Log = { ...silentLog, info: (text) => said.push(text), warn: (text) => said.push(text), child: () => log };

beforeEach(async () => {
  directory = await temporaryDirectory();
  stop = new AbortController();
  said = [];
  context = {
    config: { leaseTtlMs: 60_000, levels: [{ intervalMs: 1_000 }], compressionLevel: 1, takeover: false },
    once: false,
    standby: false,
    giveUpAfterMs: null,
    writer: await identifyWriter({ owner: 'test', version: '0' }),
    files: diskFiles,
    clock: { ...systemClock, sleep: (ms, options) => systemClock.sleep(ms / 100, options) },
    memory: new MemoryShares({ memoryBytes: 32 * 1024 * 1024, stores: new Set(['memory']) }),
    supervisor: new Supervisor({ signal: stop.signal, log }),
  };
});
afterEach(async () => {
  stop.abort(new Error('the test is over'));
  await directory[Symbol.asyncDispose]();
});

function open(root = new MemoryReplicaClient()): PathReplication {
  const place = { path: directory.at('path'), root, store: 'memory', log };
  return new PathReplication(context, place, { extraFiles: [] });
}

const run = (replication: PathReplication) =>
  context.supervisor.run(replication, { isContainer: () => replication.isContainer });

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(5);
}

describe('the service', () => {
  test.each(['absent', 'empty', 'something else'] as const)(
    '%s: waits, asks no store, and ends when told to',
    async (what) => {
      if (what !== 'absent') await mkdir(directory.at('path'));
      if (what === 'something else') await writeFile(directory.at('path/half-made'), '');
      const client = new MemoryReplicaClient();
      const replication = open(client);
      const running = run(replication);
      await until(() => said.includes('waiting for a commit log'));
      expect(replication.databases()).toMatchObject([{ state: 'waiting', database: directory.at('path') }]);
      context.supervisor.drain();
      expect((await running).error).toBeNull();
      expect(client.store.requests).toEqual({ put: 0, get: 0, head: 0, list: 0, delete: 0 });
    },
  );

  test('becomes a database', async () => {
    const replication = open();
    const running = run(replication);
    await until(() => said.includes('waiting for a commit log'));
    copyVector('v2-small', directory.at('made'));
    await rename(directory.at('made'), directory.at('path'));
    await until(() => replication.databases()[0]?.stored?.tx === 299n);
    expect([replication.isContainer, replication.images()]).toEqual([false, []]);
    context.supervisor.drain();
    expect((await running).error).toBeNull();
    expect(context.supervisor.outcomes).toHaveLength(1);
  });

  test('becomes a server, which is counted by its parts', async () => {
    copyVector('server-2.8', directory.at('path'));
    const replication = open();
    const running = run(replication);
    await until(
      () => replication.databases().length === 2 && replication.databases().every(({ stored }) => stored !== null),
    );
    await until(() => replication.images()[0]?.imagesStored === 1);
    context.supervisor.drain();
    await running;
    expect(context.supervisor.outcomes.map(({ error }) => error)).toEqual([null, null, null]);
  });

  test('a directory that cannot be read is told, and looked at again', async () => {
    copyVector('v2-small', directory.at('path'));
    let failures = 3;
    const files: ReadableFiles = {
      ...diskFiles,
      list: (path) =>
        failures-- > 0 ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : diskFiles.list(path),
    };
    context = { ...context, files };
    const replication = open();
    const running = run(replication);
    await until(() => replication.databases()[0]?.lastError !== null);
    expect(said.join('\n')).toContain('cannot be read: nothing of it is backed up');
    await until(() => replication.databases()[0]?.stored?.tx === 299n);
    context.supervisor.drain();
    expect((await running).error).toBeNull();
  });
});

test('told to end while it cannot be read: that is no good end', async () => {
  const list = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
  await mkdir(directory.at('path'));
  context = { ...context, files: { ...diskFiles, list } };
  const replication = open();
  const running = run(replication);
  await until(() => replication.databases()[0]?.lastError !== null);
  context.supervisor.drain();
  expect((await running).error).toBeInstanceOf(LocalFileError);
});

test('in one pass a directory that cannot be read is an error', async () => {
  const list = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
  await mkdir(directory.at('path'));
  context = { ...context, once: true, files: { ...diskFiles, list } };
  expect((await run(open())).error).toBeInstanceOf(LocalFileError);
});

test.each([
  ['absent', false, null],
  ['absent', true, 'does not exist'],
  ['empty', false, null],
  ['empty', true, 'is not a SpacetimeDB database'],
  ['other', false, 'is not a SpacetimeDB database'],
  ['database', true, null],
  ['server', true, null],
] as const)('before anything begins: %s, once %s: %s', async (what, once, message) => {
  const path = directory.at('path');
  if (what === 'database') copyVector('v2-small', path);
  else if (what === 'server') copyVector('server-2.8', path);
  else if (what !== 'absent') await mkdir(path);
  if (what === 'other') await writeFile(`${path}/readme.txt`, '');
  const required = requireSource(diskFiles, path, { once });
  if (message === null) await required;
  else await expect(required).rejects.toThrow(message);
});
