/**
 * Invariant: a drill of a whole server at a moment by chance restores what a restore to that moment does, the same for the
 * same seed; where a database is younger than the moment, a later image is proven instead, aloud; nothing is left.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog } from '../../test/support/recorded-log.ts';
import { ServerStoreBuilder } from '../../test/support/server-store-builder.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import { type Log, silentLog } from '../core/log.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { type DrillReport, runDrill } from './drill-run.ts';

const ONE = vectorDirectory('v2-small');
const THREE = vectorDirectory('v2-batched/v1');

let directory: TemporaryDirectory;
let client: MemoryReplicaClient;
let logs: ReadonlyMap<bigint, readonly RecordedCommit[]>;
let said: string[];
beforeEach(async () => {
  directory = await temporaryDirectory();
  await mkdir(directory.at('scratch'));
  client = new MemoryReplicaClient();
  logs = new Map([
    [1n, await readRecordedLog(ONE)],
    [3n, await readRecordedLog(THREE)],
  ]);
  said = [];
});
afterEach(() => directory[Symbol.asyncDispose]());

const firstTimed = (id: bigint): bigint => logs.get(id)?.find(({ time }) => time > 0n)?.time ?? 0n;
const lastTime = (id: bigint): bigint => logs.get(id)?.at(-1)?.time ?? 0n;

async function store(times: readonly bigint[]): Promise<void> {
  const builder = new ServerStoreBuilder(client);
  await builder.putFormat();
  const generation = await builder.putGeneration(1);
  await builder.putReplica(1n, ONE);
  await builder.putReplica(3n, THREE);
  for (const time of times) {
    const files = { 'metadata.toml': { content: `of ${time}` } };
    await builder.putImage(generation, { time, files, replicas: [1n, 3n] });
  }
  await builder.putHead(generation);
}

async function drill(seed: number): Promise<DrillReport> {
  const info = (message: string): void => void said.push(message);
  const log: Log = { ...silentLog, info };
  log.child = () => log;
  const report = await runDrill({
    client,
    scratch: directory.at('scratch'),
    seed,
    exec: null,
    env: {},
    parallelism: 2,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log,
    signal: new AbortController().signal,
  });
  expect(await readdir(directory.at('scratch'))).toEqual([]);
  return report;
}

test('each moment is that of a restore to it', async () => {
  const begin = [1n, 3n].map(firstTimed).reduce((a, b) => (a > b ? a : b));
  const end = [1n, 3n].map(lastTime).reduce((a, b) => (a > b ? a : b));
  const images = [begin, begin + (end - begin) / 2n];
  await store(images);
  const moments = new Set<bigint>();
  for (let seed = 1; seed <= 6; seed += 1) {
    const { kind, moment, imageTime, databases } = await drill(seed);
    expect(kind).toBe('server');
    const at = moment ?? -1n;
    expect(at >= begin && at <= end).toBe(true);
    expect(imageTime).toBe(images.findLast((time) => time <= at));
    for (const { replicaId, position } of databases) {
      expect(position.tx).toBe(logs.get(replicaId ?? 0n)?.findLast(({ time }) => time <= at)?.last);
    }
    expect(databases).toHaveLength(2);
    moments.add(at);
    expect((await drill(seed)).moment).toBe(moment);
  }
  expect(moments.size).toBeGreaterThan(3);
});

test('before a database has a point, a later image is proven, aloud; behind all of them, the newest', async () => {
  const young = [1n, 3n].map(firstTimed).reduce((a, b) => (a > b ? a : b));
  await store([1_000_000n, young]);
  // Nearly all of the time lies before both databases.
  const later = await drill(1);
  expect(later).toMatchObject({ moment: young, imageTime: young });
  expect(said.join('\n')).toMatch(/later one is tried/);
  client = new MemoryReplicaClient();
  await store([1_000_000n]);
  const newest = await drill(1);
  expect(newest.moment).toBeNull();
  expect(newest.databases.map(({ position }) => position.tx)).toEqual([1n, 3n].map((id) => logs.get(id)?.at(-1)?.last));
});
