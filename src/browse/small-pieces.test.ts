/**
 * Invariant: however long a log and its objects are, only a few of its commits are in memory at once, and nothing is read
 * ahead of a slow reader beyond what is under way.
 */
import { beforeEach, expect, test } from 'vitest';
import { countingReads } from '../../test/support/read-counts.ts';
import { buildSimpleStore, type SimpleStore } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { silentLog } from '../core/log.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { readStore } from '../restore/read-store.ts';
import type { LoggedCommit } from './logged-commit.ts';
import { readLog } from './read-log.ts';
import { smallPieces } from './small-pieces.ts';

const PARALLELISM = 4;
const PIECE_BYTES = 16 * 1024;

let client: MemoryReplicaClient;
beforeEach(() => {
  client = new MemoryReplicaClient();
});

const build = (commitsPerObject: number): Promise<SimpleStore> =>
  buildSimpleStore({ client, replicaDir: vectorDirectory('v2-small'), commitsPerObject, snapshots: [] });

async function openLog(from: ReplicaClient): Promise<AsyncGenerator<readonly LoggedCommit[], void, void>> {
  const { signal } = new AbortController();
  const fetch = { client: from, budget: new ByteBudget(16 * 1024 * 1024), parallelism: PARALLELISM, signal };
  const view = await readStore({ ...fetch, log: silentLog });
  const query = { from: null, to: null, reducer: null, count: null };
  return readLog(view, { fetch, query, log: silentLog });
}

test('a long object is given in batches of few bytes, which are all of it', async () => {
  const { commits } = await build(1000);
  const given: LoggedCommit[] = [];
  let batches = 0;
  for await (const batch of await openLog(client)) {
    const [first] = batch;
    const bytes = batch.reduce((sum, commit) => sum + commit.bytes, 0);
    // The first one may have begun in pieces before.
    expect(bytes - (first?.bytes ?? 0)).toBeLessThanOrEqual(PIECE_BYTES);
    batches += 1;
    given.push(...batch);
  }
  expect(given.map(({ last, crc }) => [last, crc])).toEqual(commits.map(({ last, crc }) => [last, crc]));
  expect(batches).toBeGreaterThan(3);
});

test('what a slow reader has not asked for is not read', async () => {
  const { logKeys } = await build(2);
  const { client: counting, counts } = countingReads(client);
  const log = await openLog(counting);
  const before = counts.gets;
  await log.next();
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(logKeys.length).toBeGreaterThan(100);
  expect(counts.gets - before).toBeLessThanOrEqual(PARALLELISM + 1);
  await log.return();
});

test('pieces are all of the bytes, in order', () => {
  for (const length of [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES + 7]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index % 251);
    const pieces = [...smallPieces(bytes)];
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    for (const piece of pieces) expect(piece.byteLength).toBeLessThanOrEqual(PIECE_BYTES);
  }
});
