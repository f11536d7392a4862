/**
 * Invariant: while the real engine writes, rotates, compresses and takes snapshots, and `replicate` is killed at any
 * moment and started again, every commit that the store acknowledged is stored once and restorable: a restore at any time
 * has exactly the engine's content after the last stored transaction.
 *
 * Crash points: ten moments of the service's life, chosen at random: its start, a put under way, between two puts, while a
 * snapshot is packed, while idle.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import { silentLog } from '../../src/core/log.ts';
import { lineOf } from '../../src/layout/line.ts';
import { type LogObject, parseKey } from '../../src/layout/keys.ts';
import { walkLine } from '../../src/layout/walk-line.ts';
import { openReplicaClient } from '../../src/replica/registry.ts';
import { readStore } from '../../src/restore/read-store.ts';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram, type RunningProgram, startProgram } from '../support/program.ts';
import { s3Place } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { Generator, judge, oracleMissing } from './oracle.ts';

const KILLS = 10;
const LIFE_MS_MAX = 2500;
const TEST_MS_MAX = 180_000;
const DATABASE = ['--rate', '200', '--segment-size', '131072', '--snapshot-every', '500', '--compress', '--seed', '7'];

const server = oracleMissing === null ? await s3Server() : { skip: oracleMissing };

afterAll(async () => {
  if (isServer(server)) await server.stop();
});

interface StoredLine {
  /** The objects of the line, in order. */
  readonly line: readonly { readonly object: LogObject; readonly until: bigint }[];
  readonly unreached: readonly LogObject[];
  readonly generations: number;
}

async function readStoredLine(url: string): Promise<StoredLine> {
  await using client = await openReplicaClient(url, { requestTimeoutMs: 10_000 });
  const signal = new AbortController().signal;
  const { head, documents, listing } = await readStore({ client, parallelism: 4, log: silentLog, signal });
  if (head === null) throw new Error('there is no head');
  const parts = lineOf(head.generation, documents);
  const { steps, hole } = walkLine(parts, { objects: listing.logObjects, documents });
  expect(hole).toBeNull();
  const line = steps.map(({ object, cut }) => ({ object, until: cut?.tx ?? object.last }));
  const reached = new Set(line.map(({ object }) => object.key));
  const unreached = [...listing.logObjects.values()].flat().filter(({ key }) => !reached.has(key));
  return { line, unreached, generations: documents.size };
}

/** Keys of the objects that a process was told are stored, as far as they follow each other without a gap. */
function acknowledgedBy({ stderr }: RunningProgram): string[] {
  const keys = [...stderr.matchAll(/"key":"([^"]+\.zst)"[^\n]*"msg":"stored"/g)].map(([, key]) => key as string);
  const named = keys
    .map((key) => ({ key, parsed: parseKey(key) }))
    .flatMap(({ key, parsed }) => (parsed?.kind === 'log' ? [{ key, ...parsed.name }] : []))
    .toSorted((a, b) => Number(a.first - b.first));
  const start = /"from":"?(\d+)/.exec(stderr)?.[1];
  let next = start === undefined ? -1n : BigInt(start);
  const chain: string[] = [];
  for (const { key, first, last } of named) {
    if (first !== next) break;
    chain.push(key);
    next = last + 1n;
  }
  return chain;
}

const live = testNeeding({
  missing: oracleMissing ?? (isServer(server) ? null : server.skip),
  ...(oracleMissing === null ? { requiredBy: 'STDB_TEST_REQUIRE_S3' } : {}),
});

live(
  'killed ten times while the engine writes: nothing is lost, nothing is sent twice',
  async () => {
    if (!isServer(server)) throw new Error(server.skip);
    await using directory = await temporaryDirectory();
    const database = directory.at('database');
    const { url, env } = await s3Place(server);
    // The test's own reader of the store takes its credentials from here, as the program does.
    Object.assign(process.env, env);
    const acknowledged: string[] = [];
    const startReplicating = (): RunningProgram =>
      startProgram(['replicate', '-log-level', 'debug', '-log-format', 'json', database, url], {
        env: { ...env, STDB_REPLICATE_OWNER: 'live' },
        timeoutMs: TEST_MS_MAX,
      });
    const restoreAndJudge = async (name: string): Promise<{ durable: number; content_hash: string }> => {
      const restored = await runProgram(['restore', '-o', directory.at(name), url], { env });
      expect(restored.code, restored.stderr).toBe(0);
      const verdict = await judge(directory.at(name));
      expect(verdict).toMatchObject({ ok: true, warnings: [] });
      return verdict;
    };

    await using generator = new Generator(database, DATABASE);
    for (let kills = 0; kills < KILLS; kills += 1) {
      await using running = startReplicating();
      await delay(Math.random() * LIFE_MS_MAX);
      expect(running.stderr).not.toMatch(/"level":"error"/);
      running.kill('SIGKILL');
      const { signal, stderr } = await running.ended();
      expect(signal, stderr).toBe('SIGKILL');
      acknowledged.push(...acknowledgedBy(running));
    }
    // Nobody replicates now: what is restored ends with the last stored transaction.
    const killed = await restoreAndJudge('after-the-kills');
    const { line } = await readStoredLine(url);
    expect(killed.durable).toBe(Number(line.at(-1)?.until));

    await using running = startReplicating();
    await running.until(() => acknowledgedBy(running).length >= 2, 'objects to be stored');
    const streaming = await restoreAndJudge('while-streaming');
    expect(streaming.durable).toBeGreaterThan(killed.durable);

    const end = await generator.stop();
    running.kill('SIGTERM');
    const last = await running.ended();
    expect(last.code, last.stderr).toBe(0);
    acknowledged.push(...acknowledgedBy(running));
    const { durable, content_hash } = await restoreAndJudge('at-the-end');
    expect({ durable, content_hash }).toEqual({ durable: end.durable, content_hash: end.content_hash });
    for (const verdict of [killed, streaming]) {
      expect((await judge(database, { until: verdict.durable })).content_hash).toBe(verdict.content_hash);
    }
    expect(generator.events.get('snapshot') ?? 0).toBeGreaterThan(0);
    expect(generator.events.get('segment') ?? 0).toBeGreaterThan(0);

    // Each commit of the line is in one object of it, from the first to the last.
    const stored = await readStoredLine(url);
    let next = 0n;
    for (const { object, until } of stored.line) {
      expect(object.first).toBe(next);
      next = until + 1n;
    }
    expect(next).toBe(BigInt(end.durable) + 1n);
    expect(stored.generations).toBeGreaterThan(1);
    // What a process was told is stored belongs to the line, whole: no later process sent any of it again.
    const whole = new Set(
      stored.line.filter(({ object, until }) => until === object.last).map(({ object }) => object.key),
    );
    expect(acknowledged.filter((key) => !whole.has(key))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(KILLS / 2);
    // The rest was under way when a process was killed: less than one object for each kill.
    expect(stored.unreached.length).toBeLessThanOrEqual(KILLS);
  },
  TEST_MS_MAX,
);
