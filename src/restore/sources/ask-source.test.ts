/**
 * Invariant: whether a line holds a commit is told rightly for every offset, whether names tell it or an object must be
 * read; what two destinations of one database say is enough to take the longer one.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog } from '../../../test/support/recorded-log.ts';
import { buildSimpleStore, positionOf, StoreBuilder } from '../../../test/support/store-builder.ts';
import { vectorDirectory } from '../../../test/vectors/vectors.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { CorruptionError, NoBackupError } from '../../core/errors.ts';
import { crc32cValue, txOffset } from '../../core/types.ts';
import { MemoryReplicaClient } from '../../replica/memory/memory-replica-client.ts';
import type { FetchOptions } from '../fetch-parts.ts';
import { askDatabase, judgeCommit } from './ask-source.ts';

/** Commits of several transactions. */
const BATCHED = vectorDirectory('v2-batched/v1');
let commits: readonly RecordedCommit[];
beforeAll(async () => {
  commits = await readRecordedLog(BATCHED);
});

const fetchFrom = (client: MemoryReplicaClient): FetchOptions => ({
  client,
  budget: new ByteBudget(16 * 1024 * 1024),
  parallelism: 2,
  signal: new AbortController().signal,
});

/** The first commits of the log, from one of them on. */
async function storePart(
  from: number,
  to: number,
  alter: (commit: RecordedCommit) => RecordedCommit = (commit) => commit,
): Promise<MemoryReplicaClient> {
  const client = new MemoryReplicaClient();
  const builder = new StoreBuilder(client);
  const generation = await builder.putGeneration({ number: 1 });
  const some = commits.slice(from, to).map(alter);
  await builder.putLog(generation, { commits: some, commitsPerObject: 4, prev: crc32cValue(0) });
  await builder.putHead(generation, some.at(-1) ?? null);
  return client;
}

describe('one commit of a line', () => {
  test('is told by names or by reading, at every offset; inside a commit none ends', async () => {
    const fetch = fetchFrom(await storePart(0, 20));
    const ends = new Map(commits.slice(0, 20).map((commit) => [commit.last, commit.crc]));
    const last = commits[19]?.last ?? 0n;
    for (let tx = txOffset(0n); tx <= last; tx = txOffset(tx + 1n)) {
      const crc = ends.get(tx);
      const wanted = { tx, crc: crc ?? crc32cValue(1) };
      expect(await judgeCommit(wanted, fetch), `${tx}`).toBe(crc === undefined ? 'other' : 'same');
      expect(await judgeCommit({ tx, crc: crc32cValue(7) }, fetch), `${tx}`).toBe('other');
    }
    expect(fetch.budget.held).toBe(0);
  });

  test('that lies before the line’s log cannot be told', async () => {
    const fetch = fetchFrom(await storePart(10, 20));
    expect(await judgeCommit(positionOf(commits[5] as RecordedCommit), fetch)).toBe('beyond');
    expect(await judgeCommit(positionOf(commits[12] as RecordedCommit), fetch)).toBe('same');
  });

  test('in an object that is damaged is no verdict', async () => {
    const client = await storePart(0, 20);
    for (const [key, { bytes }] of client.store.objects) {
      if (key.includes('/log/'))
        client.store.set(
          key,
          bytes.map((byte, index) => (index === 30 ? byte ^ 1 : byte)),
        );
    }
    // Not the last one of its object: the names do not tell it.
    await expect(judgeCommit(positionOf(commits[1] as RecordedCommit), fetchFrom(client))).rejects.toThrow(
      CorruptionError,
    );
  });
});

test('regression: a bad commit in an object that is whole by its frames is damage, not another history', async () => {
  // The object of a segment's first four commits begins with the one before it.
  const bad = commits[2]?.last;
  const client = await storePart(0, 20, (commit) =>
    commit.last === bad ? { ...commit, bytes: commit.bytes.map((byte, at) => (at === 30 ? byte ^ 1 : byte)) } : commit,
  );
  const judged = (index: number) => judgeCommit(positionOf(commits[index] as RecordedCommit), fetchFrom(client));
  expect(await judged(1)).toBe('same');
  await expect(judged(2)).rejects.toMatchObject({ exitCode: 14 });
  await expect(judged(3)).rejects.toMatchObject({ exitCode: 14 });
  expect(await judged(4)).toBe('same');
});

test('a line tells its end and what its names say of it', async () => {
  const client = new MemoryReplicaClient();
  const { commits: all } = await buildSimpleStore({ client, replicaDir: BATCHED, commitsPerObject: 5 });
  const { end, known } = await askDatabase(fetchFrom(client));
  expect(end).toMatchObject(positionOf(all.at(-1) as RecordedCommit));
  const ends = new Map(all.map(({ last, crc }) => [last, crc]));
  expect(known.length).toBeGreaterThan(2);
  for (const { tx, crc } of known) expect(ends.get(tx)).toBe(crc);
});

test('an empty destination has no backup', async () => {
  await expect(askDatabase(fetchFrom(new MemoryReplicaClient()))).rejects.toThrow(NoBackupError);
});
