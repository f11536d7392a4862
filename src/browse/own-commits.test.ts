/**
 * Invariant: `log` shows every recovery point that `points` tells of, also the one that only a snapshot keeps, marked, and
 * where no snapshot keeps it neither shows it.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog } from '../../test/support/recorded-log.ts';
import { StoreBuilder } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { micros, txOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { readStore } from '../restore/read-store.ts';
import type { LoggedCommit, LogQuery } from './logged-commit.ts';
import { OwnCommits } from './own-commits.ts';
import { describePoints } from './points.ts';
import { readLog } from './read-log.ts';

const SMALL = vectorDirectory('v2-small');
const AT = 180n;
const ALL: LogQuery = { from: null, to: null, reducer: null, count: null };

let client: MemoryReplicaClient;
let builder: StoreBuilder;
let generation: GenerationName;
let own: RecordedCommit;
let after: readonly RecordedCommit[];
beforeEach(async () => {
  client = new MemoryReplicaClient();
  builder = new StoreBuilder(client);
  await builder.putFormat();
  generation = await builder.putGeneration({ number: 1 });
  const commits = await readRecordedLog(SMALL);
  own = commits.find(({ last }) => last === AT) as RecordedCommit;
  after = commits.filter(({ first }) => first > AT);
  await builder.putLog(generation, { commits: after, commitsPerObject: 30 });
  await builder.putHead(generation, after.at(-1) ?? null);
});

const keepOwn = (commit: RecordedCommit | null): Promise<string> =>
  builder.putSnapshot(generation, { replicaDir: SMALL, tx: AT, commit });

const fetchOptions = (): FetchOptions => {
  const { signal } = new AbortController();
  return { client, budget: new ByteBudget(16 * 1024 * 1024), parallelism: 2, signal };
};

async function shown(query: Partial<LogQuery> = {}): Promise<LoggedCommit[]> {
  const fetch = fetchOptions();
  const view = await readStore({ ...fetch, log: silentLog });
  const found: LoggedCommit[] = [];
  for await (const batch of readLog(view, { fetch, query: { ...ALL, ...query }, log: silentLog })) found.push(...batch);
  return found;
}

async function firstPoint(): Promise<bigint | undefined> {
  const fetch = fetchOptions();
  const { ranges } = await describePoints(await readStore({ ...fetch, log: silentLog }), { fetch });
  return ranges[0]?.first;
}

describe('kept by the snapshot', () => {
  beforeEach(() => keepOwn(own));

  test('it is shown before the rest, marked; points begin there too', async () => {
    const [first, ...rest] = await shown();
    const { last, crc } = own;
    expect(first).toMatchObject({ last, crc, inLog: false, generation, bytes: own.bytes.byteLength });
    expect(rest.map((commit) => commit.last)).toEqual(after.map((commit) => commit.last));
    expect(rest.every(({ inLog }) => inLog)).toBe(true);
    expect(await firstPoint()).toBe(AT);
    expect(typeof OwnCommits).toBe('function');
  });

  test('it is one of those asked for, or not', async () => {
    const lasts = async (query: Partial<LogQuery>): Promise<bigint[]> => (await shown(query)).map(({ last }) => last);
    const tx = (value: bigint) => ({ kind: 'tx', tx: txOffset(value) }) as const;
    const time = (value: bigint) => ({ kind: 'time', time: micros(value) }) as const;
    expect(await lasts({ to: tx(AT) })).toEqual([AT]);
    expect((await lasts({ from: tx(AT) }))[0]).toBe(AT);
    expect((await lasts({ from: tx(AT + 1n) }))[0]).toBe(after[0]?.last);
    expect(await lasts({ to: time(own.time) })).toEqual([AT]);
    expect((await lasts({ from: time(own.time) }))[0]).toBe(AT);
    expect(await lasts({ from: time(own.time + 1n) })).not.toContain(AT);
    expect(await lasts({ count: after.length })).not.toContain(AT);
    expect((await lasts({ count: after.length + 1 }))[0]).toBe(AT);
    const [first] = await shown();
    const reducer = first?.reducer ?? '';
    expect(reducer).not.toBe('');
    expect((await lasts({ reducer }))[0]).toBe(AT);
    expect(await lasts({ reducer: 'nobody_called_it' })).toEqual([]);
  });

  test('with its manifest damaged the log says what is missing', async () => {
    const key = client.store.keys().find((one) => one.includes('manifest')) ?? '';
    client.store.set(key, new Uint8Array(40));
    await expect(shown()).rejects.toThrow(CorruptionError);
  });
});

test('kept by nobody: it is not shown, and no point', async () => {
  await keepOwn(null);
  const [first] = await shown();
  expect(first).toMatchObject({ last: after[0]?.last, inLog: true });
  expect(await firstPoint()).toBe(AT + 1n);
});

test('also held by the log: shown once, unmarked', async () => {
  await keepOwn(own);
  await builder.putLog(generation, { commits: [own, ...after], level: 1 });
  const commits = await shown();
  expect(commits.filter(({ last }) => last === AT)).toMatchObject([{ inLog: true }]);
});
