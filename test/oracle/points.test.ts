/**
 * Invariant: a restore to any transaction, or to any time, of any of a store's lines has exactly the content that the real
 * engine finds in the source at that transaction: over rotations, snapshots, compression in place and generations that
 * branched where somebody restored to a point and went on.
 *
 * STDB_TEST_POINTS: how many transactions; a quarter as many times, but eight at the least.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { micros, txOffset } from '../../src/core/types.ts';
import { openReplicaClient } from '../../src/replica/registry.ts';
import type { PointRequest } from '../../src/restore/point-request.ts';
import { readStore } from '../../src/restore/read-store.ts';
import { restore } from '../../src/restore/restore.ts';
import { Random } from '../sim/random.ts';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram } from '../support/program.ts';
import { type RecordedCommit, readRecordedLog } from '../support/recorded-log.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts';
import { judge, oracleMissing } from './oracle.ts';

const POINTS = Number(process.env['STDB_TEST_POINTS'] ?? 20);
const TIMES = Math.max(8, Math.ceil(POINTS / 4));
const GENERATIONS = 3;
/** The engine takes its first snapshot after this transaction; each is a commit. */
const FIRST_SNAPSHOT = 1;
const SHAPE = ['--segment-size', '49152', '--snapshot-every', '90', '--compress', '--ignore-stdin'];
const TEST_MS_MAX = 120_000 + POINTS * 10_000;

/** What one generation's line is, and which directories hold its transactions. */
interface Line {
  readonly generation: string;
  readonly commits: readonly (RecordedCommit & { readonly directory: string })[];
}

async function generate(directory: string, seed: number, transactions: number): Promise<void> {
  const args = ['gen', '--dir', directory, '--seed', `${seed}`, '--tx', `${transactions}`, '--rate', '2000', ...SHAPE];
  await promisify(execFile)(process.env['STDB_TEST_ORACLE'] ?? '', args);
}

async function replicate(directory: string, url: string): Promise<void> {
  const { code, stderr } = await runProgram(['replicate', '-once', directory, url], {
    env: { STDB_REPLICATE_OWNER: 'points' },
    timeoutMs: 120_000,
  });
  expect(code, stderr).toBe(0);
}

async function generationsOf(url: string): Promise<string[]> {
  await using client = await openReplicaClient(url, { requestTimeoutMs: 10_000 });
  const signal = new AbortController().signal;
  const { listing } = await readStore({ client, parallelism: 4, log: silentLog, signal });
  return listing.generations.map(({ generation }) => generation);
}

async function restoreTo(
  target: string,
  { url, ...options }: { readonly url: string; readonly point: PointRequest; readonly generation?: string },
): Promise<bigint> {
  await using client = await openReplicaClient(url, { requestTimeoutMs: 10_000 });
  const report = await restore({
    client,
    target,
    ...options,
    budget: new ByteBudget(32 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
  });
  return report.position?.tx ?? -1n;
}

/** Three lines: each is the one before, restored to a transaction in the middle and gone on with. */
async function makeLines(
  directory: TemporaryDirectory,
  { url, random }: { url: string; random: Random },
): Promise<Line[]> {
  const lines: Line[] = [];
  for (let number = 1; number <= GENERATIONS; number += 1) {
    const database = directory.at(`database-${number}`);
    const before = lines.at(-1)?.commits ?? [];
    const branch = before[random.int(Math.floor(before.length / 2), before.length - 2)];
    if (branch !== undefined) await restoreTo(database, { url, point: { kind: 'tx', tx: branch.last } });
    if (branch === undefined) {
      // The judge takes a database's identity from a snapshot: the first one is stored while it is the newest.
      await generate(database, number, 2);
      await replicate(database, url);
    }
    await generate(database, number, 300);
    await replicate(database, url);
    await generate(database, number, 200);
    await replicate(database, url);
    const kept = before.filter(({ last }) => last <= (branch?.last ?? -1n));
    const own = (await readRecordedLog(database)).filter(({ first }) => first > (branch?.last ?? -1n));
    const commits = [...kept, ...own.map((commit) => ({ ...commit, directory: database }))];
    lines.push({ generation: (await generationsOf(url)).at(-1) ?? '', commits });
  }
  return lines;
}

const test = testNeeding({ missing: oracleMissing });

test(
  'every point has the content that the engine finds there',
  async () => {
    await using directory = await temporaryDirectory();
    const random = new Random(Number(process.env['STDB_TEST_POINTS_SEED'] ?? 11));
    const url = `file://${directory.at('store')}`;
    await promisify(execFile)('mkdir', [directory.at('store')]);
    const lines = await makeLines(directory, { url, random });
    expect(new Set(lines.map(({ generation }) => generation)).size).toBe(GENERATIONS);
    const segments = new Set(lines.flatMap(({ commits }) => commits.map(({ segment }) => segment)));
    expect(segments.size).toBeGreaterThan(3);

    const check = async (line: Line, point: PointRequest, commit: Line['commits'][number]): Promise<void> => {
      const target = directory.at('restored');
      const { generation } = line;
      expect(await restoreTo(target, { url, point, generation })).toBe(commit.last);
      const found = await judge(target);
      const expected = await judge(commit.directory, { until: Number(commit.last) });
      const facts = ({ ok, content_hash, durable, error }: typeof found): object => ({
        ok,
        content_hash,
        durable,
        error,
      });
      expect(facts(found), JSON.stringify({ generation, tx: `${commit.last}` })).toEqual(facts(expected));
      expect(found).toMatchObject({ ok: true, warnings: [] });
      await rm(target, { recursive: true });
    };
    for (let count = 0; count < POINTS; count += 1) {
      const line = random.pick(lines);
      const commit = random.pick(line.commits.slice(FIRST_SNAPSHOT));
      await check(line, { kind: 'tx', tx: txOffset(commit.last) }, commit);
    }
    for (let count = 0; count < TIMES; count += 1) {
      const line = random.pick(lines);
      // A time before the first commit that has one is no point.
      const timed = line.commits.filter((_, index) => (line.commits[index - 1]?.time ?? 0n) > 0n);
      const time = micros(random.pick(timed).time + BigInt(random.int(-1, 200)));
      const next = line.commits.findIndex((commit) => commit.time > time);
      const commit = line.commits.at(next < 0 ? -1 : next - 1);
      if (commit === undefined) throw new Error('there is a commit before the first that has a time');
      await check(line, { kind: 'timestamp', time }, commit);
    }
  },
  TEST_MS_MAX,
);
