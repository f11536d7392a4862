/**
 * Invariant: whichever byte of whichever stored object changes, a restore either finds it and leaves nothing, or what it
 * leaves is right to the last byte.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRecordedLog } from '../../test/support/recorded-log.ts';
import { buildSimpleStore, commitsBetween, StoreBuilder } from '../../test/support/store-builder.ts';
import { makeTinyReplica, TINY_IDENTITY, TINY_SNAPSHOT } from '../../test/support/tiny-replica.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { blake3Hex } from '../core/checksum.ts';
import { systemClock } from '../core/clock.ts';
import { EXIT, ReplicateError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { crc32cValue } from '../core/types.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { concurrently } from './concurrently.ts';
import { restore } from './restore.ts';

let root: string;
let replicaDir: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-flip-'));
  replicaDir = join(root, 'source');
  await makeTinyReplica(replicaDir);
});
afterAll(() => rm(root, { recursive: true, force: true }));

type Content = ReadonlyMap<string, string>;

/** Hash of every file by its path; the offset index, which is made anew, left out. */
async function contentOf(directory: string): Promise<Content> {
  const files = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith('.stdb.ofs')) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length), blake3Hex(await readFile(path)));
  }
  return files;
}

async function restoreTo(client: MemoryReplicaClient, target: string): Promise<void> {
  await restore({
    client,
    target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
  });
}

interface Counts {
  /** Corruption, and nothing left. */
  found: number;
  /** The same files as without damage. */
  right: number;
  /** Without the snapshot: the whole log of the source. */
  wholeLog: number;
  /** Without the log object that holds the snapshot's commit: the manifest's copy of it in a file of its own. */
  manifestCommit: number;
}

const only = (content: Content, wanted: 'log' | 'snapshot'): Content =>
  new Map([...content].filter(([path]) => path.startsWith('/clog/') === (wanted === 'log')));

async function outcomeOf(target: string, whole: Content, where: string): Promise<Exclude<keyof Counts, 'found'>> {
  const content = await contentOf(target);
  if (only(content, 'snapshot').size === 0) {
    expect(content, where).toEqual(only(await contentOf(replicaDir), 'log'));
    return 'wholeLog';
  }
  expect(only(content, 'snapshot'), where).toEqual(only(whole, 'snapshot'));
  const commits = (await readRecordedLog(target)).map(({ last, crc }) => ({ last, crc }));
  const source = (await readRecordedLog(replicaDir)).map(({ last, crc }) => ({ last, crc }));
  expect(commits, where).toEqual(source.slice(-commits.length));
  expect(commits[0]?.last, where).toBeLessThanOrEqual(TINY_SNAPSHOT);
  const same = [...only(content, 'log')].every(([path, hash]) => whole.get(path) === hash);
  return same ? 'right' : 'manifestCommit';
}

/** Flips one bit of every byte of every object in turn, a different one each time. */
async function flipEveryByte(original: MemoryReplicaClient): Promise<Counts> {
  const good = join(root, 'good');
  await restoreTo(original, good);
  const whole = await contentOf(good);
  await rm(good, { recursive: true });
  const counts: Counts = { found: 0, right: 0, wholeLog: 0, manifestCommit: 0 };
  const flips = original.store.keys().flatMap((key) => {
    const length = original.store.objects.get(key)?.bytes.byteLength ?? 0;
    return Array.from({ length }, (_, index) => ({ key, index }));
  });
  const flipOne = async ({ key, index }: { key: string; index: number }): Promise<void> => {
    const client = new MemoryReplicaClient();
    for (const [other, { bytes }] of original.store.objects) client.store.objects.set(other, { bytes, version: other });
    const bytes = Uint8Array.from(original.store.objects.get(key)?.bytes ?? []);
    bytes[index] = (bytes[index] ?? 0) ^ (1 << (index % 8));
    client.store.set(key, bytes);
    const name = `flip-${key.replaceAll('/', '_')}-${index}`;
    const where = `${key}, byte ${index}`;
    try {
      await restoreTo(client, join(root, name));
    } catch (error) {
      expect(error, where).toBeInstanceOf(ReplicateError);
      expect((error as ReplicateError).exitCode, `${where}: ${String(error)}`).toBe(EXIT.corruption);
      expect(
        (await readdir(root)).filter((entry) => entry === name || entry.startsWith(`.${name}.`)),
        where,
      ).toEqual([]);
      counts.found += 1;
      return;
    }
    counts[await outcomeOf(join(root, name), whole, where)] += 1;
    await rm(join(root, name), { recursive: true });
  };
  await concurrently(flips, flipOne, { limit: 8 });
  expect(counts.found + counts.right + counts.wholeLog + counts.manifestCommit).toBe(flips.length);
  return counts;
}

test('with a log from 0: a damaged snapshot is done without, a damaged log is found', {
  timeout: 120_000,
}, async () => {
  const client = new MemoryReplicaClient();
  await buildSimpleStore({ client, replicaDir, commitsPerObject: 2 });
  const counts = await flipEveryByte(client);
  expect(counts.found).toBeGreaterThan(500);
  expect(counts.wholeLog).toBeGreaterThan(300);
  expect(counts.manifestCommit).toBeGreaterThan(50);
});

test('with a log that begins at the snapshot: every damage is found', { timeout: 120_000 }, async () => {
  const client = new MemoryReplicaClient();
  const builder = new StoreBuilder(client);
  const commits = await readRecordedLog(replicaDir);
  const generation = await builder.putGeneration({ number: 1, databaseIdentity: TINY_IDENTITY });
  const commit = commitsBetween(commits, TINY_SNAPSHOT, TINY_SNAPSHOT)[0] ?? null;
  await builder.putLog(generation, { commits: commitsBetween(commits, 4n, 6n), prev: crc32cValue(0) });
  await builder.putSnapshot(generation, { replicaDir, tx: TINY_SNAPSHOT, commit });
  await builder.putHead(generation, commits.at(-1) ?? null);
  const counts = await flipEveryByte(client);
  expect(counts.found).toBeGreaterThan(1000);
  expect(counts.wholeLog).toBe(0);
});
