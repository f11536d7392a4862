// Invariant: the databases that are followed are those that the directory has had of late; a volume that is away, a
// directory that is replaced, or a store that is not reached yet, gives none up; one that is gone is forgotten, one that
// comes back is begun again.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { type Log, silentLog } from '../core/log.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { txOffset } from '../core/types.ts';
import { encodeFormatDocument } from '../layout/format-document.ts';
import { StoreFullError } from '../replica/file/file-errors.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { FaultyReplicaClient } from '../replica/wrap/faulty.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { identifyWriter } from '../replicate/writer.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { MemoryShares } from './memory-shares.ts';
import type { ReplicationContext } from './replication.ts';
import { ServerReplication } from './server-replication.ts';
import { Supervisor } from './supervisor.ts';

/** Seconds pass as hundredths. */
const quickClock: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(ms / 100, options) };
/** More looks than it takes to believe that something is gone. */
const MANY_LOOKS_MS = 300;

let directory: TemporaryDirectory;
let stop: AbortController;
let context: ReplicationContext;
let said: string[];

beforeEach(async () => {
  directory = await temporaryDirectory();
  await mkdir(directory.at('data/replicas'), { recursive: true });
  stop = new AbortController();
  said = [];
  const log: Log = { ...silentLog, info: (text) => said.push(text), warn: (text) => said.push(text), child: () => log };
  context = {
    config: { leaseTtlMs: 60_000, levels: [{ intervalMs: 1_000 }], compressionLevel: 1, takeover: false },
    once: false,
    standby: false,
    giveUpAfterMs: null,
    writer: await identifyWriter({ owner: 'test', version: '0' }),
    files: diskFiles,
    clock: quickClock,
    memory: new MemoryShares({ memoryBytes: 32 * 1024 * 1024, stores: new Set(['memory']) }),
    supervisor: new Supervisor({ signal: stop.signal, log }),
  };
});
afterEach(async () => {
  stop.abort(new Error('the test is over'));
  await directory[Symbol.asyncDispose]();
});

async function makeReplica(id: number): Promise<void> {
  const clog = directory.at('data/replicas', `${id}`, 'clog');
  await mkdir(clog, { recursive: true });
  const commit = encodeCommit({ version: 1, tx: txOffset(0), records: Buffer.from('records') });
  await writeFile(
    join(clog, formatSegmentName(txOffset(0))),
    Buffer.concat([encodeSegmentHeader({ version: 1 }), commit]),
  );
}

function open(root: ReplicaClient = new MemoryReplicaClient()): ServerReplication {
  const log: Log = { ...silentLog, info: (text) => said.push(text), warn: (text) => said.push(text), child: () => log };
  return new ServerReplication(context, { path: directory.at('data'), root, store: 'memory', log }, { extraFiles: [] });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(5);
}

const idsOf = (server: ServerReplication): string[] =>
  server.databases().map(({ database }) => database.slice(directory.at('data/replicas').length + 1));
const storedOf = (server: ServerReplication): boolean => server.databases().every(({ stored }) => stored?.tx === 0n);

async function drained(running: Promise<unknown>): Promise<void> {
  context.supervisor.drain();
  await running;
  expect(context.supervisor.outcomes.filter(({ error }) => error !== null)).toEqual([]);
}

describe('the service', () => {
  test('follows what comes and goes, and what comes back', async () => {
    await makeReplica(1);
    const server = open();
    const running = context.supervisor.run(server, { isContainer: () => true });
    await until(() => storedOf(server) && idsOf(server).length === 1);
    await makeReplica(2);
    await until(() => idsOf(server).length === 2 && storedOf(server));
    await rm(directory.at('data/replicas/1'), { recursive: true });
    await until(() => idsOf(server).join() === '2');
    expect(said).toContain(`the directory of a database is gone: ${directory.at('data/replicas/1')}`);
    await makeReplica(1);
    await until(() => idsOf(server).length === 2 && storedOf(server));
    await drained(running);
  });

  test.each(['data', 'data/replicas'])('gives nothing up while %s is away', async (away) => {
    await makeReplica(1);
    const server = open();
    const running = context.supervisor.run(server, { isContainer: () => true });
    await until(() => storedOf(server) && idsOf(server).length === 1);
    await rename(directory.at(away), directory.at('elsewhere'));
    await systemClock.sleep(MANY_LOOKS_MS);
    expect(idsOf(server)).toEqual(['1']);
    expect(said.filter((text) => text.includes('is gone:'))).toEqual([]);
    await rename(directory.at('elsewhere'), directory.at(away));
    await makeReplica(2);
    await until(() => idsOf(server).length === 2 && storedOf(server));
    await drained(running);
  });

  test('is starting, with all its databases, until the store answers; then it goes on', async () => {
    await makeReplica(1);
    const client = new FaultyReplicaClient(new MemoryReplicaClient(), {
      clock: quickClock,
      faults: [{ kind: 'fail-before', operation: 'get', key: /^format\.json$/, times: 3 }],
    });
    const server = open(client);
    expect(server.images()).toMatchObject([{ state: 'starting', storeAnswered: false }]);
    const running = context.supervisor.run(server, { isContainer: () => true });
    await until(() => client.struck > 0);
    expect(server.databases()).toMatchObject([{ state: 'starting', storeAnswered: false }]);
    expect(server.images()).toMatchObject([{ state: 'starting', lastError: { code: 'STORE_UNAVAILABLE' } }]);
    await until(() => storedOf(server) && server.databases().every(({ state }) => state === 'streaming'));
    await drained(running);
  });

  test('told to end while its databases cannot be listed: that is no good end, though what is known is stored', async () => {
    await makeReplica(1);
    let isBroken = false;
    const list: ReadableFiles['list'] = (path) =>
      isBroken && path.endsWith('replicas')
        ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }))
        : diskFiles.list(path);
    context = { ...context, files: { ...diskFiles, list } };
    const server = open();
    const running = context.supervisor.run(server, { isContainer: () => true });
    await until(() => storedOf(server) && idsOf(server).length === 1);
    isBroken = true;
    context.supervisor.drain();
    expect((await running).error).toMatchObject({ code: 'LOCAL_FILE' });
    expect(storedOf(server)).toBe(true);
  });

  test('begins nothing at a destination of a single database, and says why', async () => {
    await makeReplica(1);
    const client = new MemoryReplicaClient();
    await client.put('format.json', encodeFormatDocument({ kind: 'database' }));
    const server = open(client);
    const { error } = await context.supervisor.run(server, { isContainer: () => true });
    expect(error).toMatchObject({ code: 'CONFIGURATION', exitCode: 2 });
    expect(server.databases()).toMatchObject([{ state: 'stopped', lastError: { code: 'CONFIGURATION' } }]);
    expect(server.images()).toMatchObject([{ state: 'stopped', lastError: { code: 'CONFIGURATION' } }]);
    const keys = [];
    for await (const { key } of client.list('')) keys.push(key);
    expect(keys).toEqual(['format.json']);
  });
});

describe('one pass', () => {
  test('waits for a store that is full once, not for each database and for the images', async () => {
    await makeReplica(1);
    await makeReplica(2);
    await mkdir(directory.at('data/control-db'));
    await writeFile(directory.at('data/control-db/db'), 'control');
    let waitedMs = 0;
    const clock: Clock = {
      ...systemClock,
      monotonic: () => systemClock.monotonic() + waitedMs,
      sleep: async (ms) => {
        waitedMs += ms;
        await systemClock.sleep(1);
      },
    };
    context = { ...context, once: true, giveUpAfterMs: 30_000, clock };
    const full = (): Error => new StoreFullError('no space left', { hint: 'Free space on this disk.' });
    const fault = { kind: 'fail-before', operation: 'put', times: 1e9, error: full } as const;
    const server = open(new FaultyReplicaClient(new MemoryReplicaClient(), { clock: systemClock, faults: [fault] }));
    await server.run(stop.signal);
    const ends = context.supervisor.outcomes.map(({ error }) => error);
    expect(ends.map((error) => error instanceof StoreFullError)).toEqual([true, true, true]);
    // By a clock that goes on by all waits together: the last ones may overlap.
    expect(waitedMs).toBeLessThan(45_000);
  });
});
