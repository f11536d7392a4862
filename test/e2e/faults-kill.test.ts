/**
 * Invariant: a writer that is killed in the middle of any write to the store, or right after it, before it has heard of
 * it, leaves a store from which a restore gives a beginning of the source or says that there is no backup, and nothing
 * in between; the next writer goes on, and in the end a restore equals the source.
 *
 * Crash points: each kind of object that is ever written, half sent and done; a part of a long object and its
 * completion; a `file:` store at any moment.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import {
  type DatabaseBesideStore,
  databaseBesideStore,
  runWell,
  writeConfig,
} from '../support/database-beside-store.ts';
import { type FaultyStore, faultyS3 } from '../support/faulty-s3.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { LongLog } from '../support/long-log.ts';
import { type ProgramOptions, type RunningProgram, runProgram, startProgram } from '../support/program.ts';
import { readDatabase, type RecordedDatabase } from '../support/recorded-database.ts';
import type { ProxyMode } from '../support/tcp-proxy.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const s3 = await faultyS3();

const TEST_MS_MAX = 180_000;
const NO_BACKUP = 10;
const MEMORY = ['owner: game-0', 'memory: 32MiB', 'levels:', '  - interval: 100ms'];

interface Destination {
  readonly url: string;
  readonly options: ProgramOptions;
}

/** What can be restored now is a beginning of the source's log, or there is no backup. */
async function expectBeginning(place: DatabaseBesideStore, name: string, { url, options }: Destination): Promise<void> {
  const target = place.at(name);
  const { code, stderr } = await runProgram(['restore', '-o', target, url], options);
  if (code === NO_BACKUP) return;
  expect(code, stderr).toBe(0);
  for (const segment of (await readdir(join(target, 'clog'))).filter((file) => file.endsWith('.stdb.log'))) {
    const [restored, source] = await Promise.all([
      readFile(join(target, 'clog', segment)),
      readFile(join(place.database, 'clog', segment)),
    ]);
    expect(source.subarray(0, restored.byteLength).equals(restored), `${segment} after ${name}`).toBe(true);
  }
}

/** Runs a writer until the proxy has stopped it in a request, and kills it there; whether it came to that. */
async function killAt(store: FaultyStore, mode: ProxyMode, run: () => RunningProgram): Promise<boolean> {
  const { proxy } = store;
  const stopped = proxy.stopped;
  proxy.mode = mode;
  await using program = run();
  const ended = program.ended().then(() => 'ended' as const);
  while (proxy.stopped === stopped) {
    if ((await Promise.race([ended, delay(5)])) === 'ended') break;
  }
  program.kill('SIGKILL');
  await ended;
  const came = proxy.stopped > stopped;
  proxy.mode = store.mode;
  return came;
}

const POINTS: readonly (readonly [name: string, line: RegExp])[] = [
  ['format', /^PUT \S+\/format\.json/],
  ['generation', /^PUT \S+\/generation\.json/],
  ['head', /^PUT \S+\/head\.json/],
  ['log', /^PUT \S+\/log\//],
  ['pack', /^PUT \S+\/packs\//],
  ['manifest', /^PUT \S+\/manifest\.ndjson/],
];

async function killEverywhere(when: 'half-sent' | 'done'): Promise<void> {
  await using place = await databaseBesideStore(null);
  await using store = await s3.open();
  const { url, env } = store;
  const recorded = await readDatabase(vectorDirectory('v2-small'));
  const growing = new GrowingDatabase(place.database, recorded);
  await growing.create();
  await growing.writeCommit();
  const direct: Destination = { url: store.directUrl, options: { env } };
  const config = await writeConfig(place.at('c.yml'), { ...place, url, more: MEMORY });
  const run = (): RunningProgram => startProgram(['replicate', '-once', '-config', config], { env });
  const missed: string[] = [];
  let snapshotTx = -1n;
  for (const [name, line] of POINTS) {
    for (let commits = 0; commits < 40 && !growing.isComplete; commits += 1) await growing.writeCommit();
    if (name === 'pack') {
      snapshotTx = snapshotUpTo(growing, recorded);
      await growing.takeSnapshot(snapshotTx);
    }
    if (!(await killAt(store, { kind: 'stop-at', line, when }, run))) missed.push(name);
    await expectBeginning(place, `after-${name}`, direct);
  }
  // format.json is written once in a store's life; after that a writer may find that it is there.
  expect(missed.filter((name) => name !== 'format')).toEqual([]);
  await growing.finish();
  await runWell(['replicate', '-once', '-config', config], { env });
  await runWell(['restore', '-o', place.restored, direct.url], { env });
  const taken = { ...recorded, snapshots: recorded.snapshots.filter(({ tx }) => tx <= snapshotTx) };
  expect((await compareRestored(taken, place.restored)).differences).toEqual([]);
}

/** The newest recorded snapshot that the log reaches by now. */
function snapshotUpTo({ lastTx }: GrowingDatabase, { snapshots }: RecordedDatabase): bigint {
  const snapshot = snapshots.findLast(({ tx }) => tx <= lastTx);
  if (snapshot === undefined) throw new Error(`no snapshot was recorded up to ${lastTx}`);
  return snapshot.tx;
}

// Side by side, since they wait for most of their time.
describe.concurrent('a writer that is', () => {
  s3.test('killed in the middle of each kind of write', () => killEverywhere('half-sent'), TEST_MS_MAX);
  s3.test('killed after each kind of write, before its answer', () => killEverywhere('done'), TEST_MS_MAX);

  s3.test(
    'killed in a part of a long object, and in its completion',
    async () => {
      await using place = await databaseBesideStore(null);
      await using store = await s3.open();
      const { url, env } = store;
      const log = await LongLog.create(place.database);
      await log.append(3, { bytes: 1000 });
      // Longer than the memory: sent as a stream, in parts.
      await log.append(1, { bytes: 40 * 1024 * 1024 });
      await log.append(3, { bytes: 1000 });
      const direct: Destination = { url: store.directUrl, options: { env } };
      const config = await writeConfig(place.at('c.yml'), { ...place, url, more: MEMORY });
      const run = (): RunningProgram => startProgram(['replicate', '-once', '-config', config], { env });
      const points: readonly ProxyMode[] = [
        { kind: 'stop-at', line: /^POST \S+[?&]uploads/, when: 'done' },
        { kind: 'stop-at', line: /^PUT \S+partNumber=2/, when: 'half-sent' },
        { kind: 'stop-at', line: /^POST \S+uploadId=/, when: 'half-sent' },
        { kind: 'stop-at', line: /^POST \S+uploadId=/, when: 'done' },
      ];
      for (const [index, mode] of points.entries()) {
        expect(await killAt(store, mode, run), `point ${index}`).toBe(true);
        await expectBeginning(place, `after-${index}`, direct);
      }
      await runWell(['replicate', '-once', '-config', config], { env });
      await runWell(['restore', '-o', place.restored, direct.url], { env });
      expect(await log.equals(place.restored)).toBe(true);
    },
    TEST_MS_MAX,
  );

  test(
    'a file: store, killed at any moment',
    async () => {
      await using place = await databaseBesideStore(null);
      const recorded = await readDatabase(vectorDirectory('v2-small'));
      const growing = new GrowingDatabase(place.database, recorded);
      await growing.create();
      const config = await writeConfig(place.at('c.yml'), { ...place, more: MEMORY });
      const direct: Destination = { url: place.url, options: {} };
      const kills = (process.env['STDB_TEST_LONG'] ?? '') === '' ? 8 : 200;
      for (let kill = 0; kill < kills; kill += 1) {
        await using program = startProgram(['replicate', '-config', config]);
        const killed = delay(350 + Math.random() * 500).then(() => program.kill('SIGKILL'));
        for (let commits = 0; commits < 30 && growing.lastTx < 299n && !growing.isComplete; commits += 1) {
          await growing.writeCommit();
          await delay(10);
        }
        await killed;
        expect((await program.ended()).signal).toBe('SIGKILL');
        await expectBeginning(place, `after-${kill}`, direct);
      }
      await growing.finish();
      await runWell(['replicate', '-once', '-config', config]);
      await runWell(['restore', '-o', place.restored, place.url]);
      expect((await compareRestored({ ...recorded, snapshots: [] }, place.restored)).differences).toEqual([]);
    },
    TEST_MS_MAX,
  );
});
