/**
 * Invariant: whatever generations, levels and clocks a store has, the log shows exactly the commits of the line that are
 * asked for, each once, ascending; what is damaged is told, and everything else is shown.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildPointStore, type ModelCommit, REDUCERS } from '../../test/support/point-stores.ts';
import { countingReads } from '../../test/support/read-counts.ts';
import type { RecordedCommit } from '../../test/support/recorded-log.ts';
import { StoreBuilder } from '../../test/support/store-builder.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { Random } from '../../test/sim/random.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { readStore } from '../restore/read-store.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { encodeRecord } from '../spacetimedb/record-prefix.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import type { LogBound, LoggedCommit, LogQuery } from './logged-commit.ts';
import { readLog } from './read-log.ts';

const ALL: LogQuery = { from: null, to: null, reducer: null, count: null };
const STORES = 12;
const QUERIES = 25;

async function logOf(client: ReplicaClient, query: LogQuery, generation?: string): Promise<LoggedCommit[]> {
  const fetch = { client, budget: new ByteBudget(96 << 20), parallelism: 4, signal: AbortSignal.timeout(30_000) };
  const view = await readStore({ ...fetch, log: silentLog });
  const found: LoggedCommit[] = [];
  for await (const batch of readLog(view, { fetch, query, generation, log: silentLog })) found.push(...batch);
  return found;
}

/** What the model says. */
function expected(line: readonly ModelCommit[], { from, to, reducer, count }: LogQuery): string[] {
  const fits = line.filter(
    (commit) =>
      (from === null || (from.kind === 'tx' ? commit.last >= from.tx : commit.time >= from.time)) &&
      (to === null || (to.kind === 'tx' ? commit.first <= to.tx : commit.time <= to.time)) &&
      (reducer === null || commit.reducer === reducer),
  );
  return (count === null ? fits : fits.slice(-count)).map(
    ({ first, last, crc, bytes, ownTime, reducer: name }) =>
      `${first}-${last} ${crc} ${bytes.byteLength} ${ownTime} ${name}`,
  );
}

const shown = ({ first, last, crc, bytes, time, reducer }: LoggedCommit): string =>
  `${first}-${last} ${crc} ${bytes} ${time} ${reducer}`;

function randomBound(random: Random, line: readonly ModelCommit[]): LogBound | null {
  if (random.chance(0.35)) return null;
  const { first, last, time } = random.pick(line);
  if (random.chance(0.5)) return { kind: 'tx', tx: txOffset(random.chance(0.5) ? first : last) };
  return { kind: 'time', time: micros(time + BigInt(random.int(-2, 2))) };
}

test('any question about any line of random stores', async () => {
  let answers = 0;
  for (let seed = 1; seed <= STORES; seed += 1) {
    await using directory = await temporaryDirectory();
    const client = new MemoryReplicaClient();
    const { generations, lines } = await buildPointStore({ client, scratch: join(directory.path, 'made'), seed });
    const random = new Random(seed);
    for (const [index, generation] of generations.entries()) {
      const line = lines[index] ?? [];
      expect((await logOf(client, ALL, generation)).map(shown)).toEqual(expected(line, ALL));
      for (let turn = 0; turn < QUERIES; turn += 1) {
        const query: LogQuery = {
          from: randomBound(random, line),
          to: randomBound(random, line),
          reducer: random.chance(0.4) ? random.pick(REDUCERS) : null,
          count: random.chance(0.5) ? random.int(1, 30) : null,
        };
        const wanted = expected(line, query);
        answers += wanted.length;
        expect((await logOf(client, query, generation)).map(shown), `${seed} ${JSON.stringify(query, text)}`).toEqual(
          wanted,
        );
      }
    }
  }
  expect(answers).toBeGreaterThan(1000);
});

const text = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

const HEADER = encodeSegmentHeader({ version: 1 });

/** Commits that do not compress, some longer than a frame; one in seven holds three transactions. */
function longLog(count: number): ModelCommit[] {
  const random = new Random(7);
  const commits: ModelCommit[] = [];
  for (let index = 0; index < count; index += 1) {
    const before = commits.at(-1);
    const first = txOffset((before?.last ?? -1n) + 1n);
    const transactions = index % 7 === 0 ? 3 : 1;
    const reducer = index % 50 === 0 ? 'rare' : 'often';
    const time = micros(1_700_000_000_000_000n + BigInt(index) * 1_000_000n);
    const args = random.bytes(index % 400 === 200 ? 700_000 : 4_000);
    const bytes = encodeCommit({
      version: 1,
      tx: first,
      count: transactions,
      records: encodeRecord({ reducer, time, args }),
    });
    const crc = crc32cValue(new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.byteLength - 4, true));
    const last = txOffset(first + BigInt(transactions) - 1n);
    const prev = before?.crc ?? crc32cValue(0);
    commits.push({
      segment: txOffset(0n),
      header: HEADER,
      bytes,
      first,
      last,
      prev,
      crc,
      time,
      reducer,
      ownTime: time,
    });
  }
  return commits;
}

async function storeOf(commits: readonly RecordedCommit[], commitsPerObject?: number) {
  const store = new MemoryReplicaClient();
  const builder = new StoreBuilder(store);
  await builder.putFormat();
  const generation = await builder.putGeneration({ number: 1 });
  const keys = await builder.putLog(generation, {
    commits,
    alignedFrames: true,
    ...(commitsPerObject ? { commitsPerObject } : {}),
  });
  await builder.putHead(generation, commits.at(-1) ?? null);
  return { ...countingReads(store), builder, generation, keys, store };
}

test('of one long object only parts are read, and they show the same', async () => {
  const commits = longLog(2000);
  const { client, counts } = await storeOf(commits);
  const of = (bytes: number): number => bytes / commits.reduce((sum, { bytes: own }) => sum + own.byteLength, 0);
  const tx = (index: number): LogBound => ({ kind: 'tx', tx: commits[index]?.last ?? txOffset(0n) });
  const questions: readonly (readonly [LogQuery, number])[] = [
    [{ ...ALL, count: 20 }, 0.1],
    [{ ...ALL, count: 5, reducer: 'rare' }, 0.5],
    [{ ...ALL, from: tx(1000), to: tx(1005) }, 0.45],
    [{ ...ALL, from: tx(1990) }, 0.45],
    [{ ...ALL, to: tx(205), count: 10 }, 0.55],
    [{ ...ALL, from: tx(199), to: tx(201) }, 0.55],
    [{ ...ALL, from: tx(600), count: 1500 }, 1.2],
  ];
  for (const [query, share] of questions) {
    counts.bytes = 0;
    const name = JSON.stringify(query, text);
    expect((await logOf(client, query)).map(shown), name).toEqual(expected(commits, query));
    expect(of(counts.bytes), name).toBeLessThan(share);
  }
});

test('the newest commits cost the newest objects', async () => {
  const commits = longLog(150);
  const { client, counts } = await storeOf(commits, 5);
  await logOf(client, { ...ALL, count: 5 });
  // Head, format, generation; the last object and one read ahead.
  expect(counts.gets).toBeLessThanOrEqual(6);
  counts.gets = 0;
  await logOf(client, { ...ALL, from: { kind: 'time', time: commits[140]?.time ?? micros(0n) } });
  expect(counts.gets).toBeLessThanOrEqual(6);
});

test.each([
  ['forwards', ALL],
  ['backwards', { ...ALL, count: 1000 }],
])('a damaged object is left out, told, and taken from another level where there is one: %s', async (_name, query) => {
  const commits = longLog(60);
  const { store, builder, generation, keys } = await storeOf(commits, 10);
  const damaged = keys[2] ?? '';
  await store.put(damaged, Buffer.alloc((await store.head(damaged)).size, 1));
  const fetch = {
    client: store,
    budget: new ByteBudget(96 << 20),
    parallelism: 4,
    signal: AbortSignal.timeout(30_000),
  };
  const view = await readStore({ ...fetch, log: silentLog });
  const found: LoggedCommit[] = [];
  const read = async (): Promise<void> => {
    for await (const batch of readLog(view, { fetch, query, log: silentLog })) found.push(...batch);
  };
  const error = await read().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CorruptionError);
  expect((error as CorruptionError).message).toContain(`behind transaction ${commits[19]?.last}`);
  expect(found.map(shown)).toEqual(expected(commits.slice(0, 20), ALL));
  await builder.putLog(generation, { commits: commits.slice(20, 40), level: 1 });
  expect((await logOf(store, query)).map(shown)).toEqual(expected(commits, ALL));
});
