/**
 * Invariant: whatever generations, levels, commits of several transactions, snapshots and clocks a store has, a restore to
 * a point ends with exactly the commit that was asked for, or says which points there are.
 *
 * STDB_TEST_POINT_STORES: how many random stores.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  buildPointStore,
  lastNotLater,
  type ModelCommit,
  type PointStore,
  REDUCERS,
} from '../../test/support/point-stores.ts';
import { readRecordedLog } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { Random } from '../../test/sim/random.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { UnrecoverablePointError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { TIME_MIN } from '../layout/time.ts';
import { parseSnapshotDirName } from '../spacetimedb/file-names.ts';
import { listSnapshots } from '../spacetimedb/snapshots.ts';
import type { PointRequest } from './point-request.ts';
import type { RestoreReport } from './restore-report.ts';

const STORES = Number(process.env['STDB_TEST_POINT_STORES'] ?? 6);
const WRITTEN = 8;

let scene: RestoreScene;
let scratch: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
  scratch = await RestoreScene.open();
});
afterEach(async () => {
  await scene[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const open = (seed: number): Promise<PointStore> =>
  buildPointStore({ client: scene.client, scratch: join(scratch.root, 'made'), seed });

async function refusal(point: PointRequest, generation: string): Promise<UnrecoverablePointError> {
  const error = await scene.run({ point, generation, dryRun: true }).then(
    ({ position }) => new Error(`ended at ${position?.tx}`),
    (thrown: unknown) => thrown,
  );
  if (error instanceof UnrecoverablePointError) return error;
  throw error;
}

/** The target holds the commits of the line up to `last`, from where its snapshot needs them. */
async function expectWritten(line: readonly ModelCommit[], last: ModelCommit): Promise<void> {
  const expected = line.filter((commit) => commit.last <= last.last);
  const found = await readRecordedLog(scene.target);
  expect(found.length).toBeGreaterThan(0);
  const text = ({ first, bytes }: { first: bigint; bytes: Uint8Array }): string =>
    `${first} ${Buffer.from(bytes).toString('hex')}`;
  expect(found.map(text)).toEqual(expected.slice(-found.length).map(text));
  const snapshots = (await readdir(join(scene.target, 'snapshots'))).map(parseSnapshotDirName);
  const begin = found[0]?.first ?? -1n;
  if (begin > 0n) expect(snapshots.some((tx) => tx !== null && tx >= begin)).toBe(true);
  for (const tx of snapshots) expect(tx !== null && tx <= last.last).toBe(true);
  await scene.clear();
}

function expectPoint(report: RestoreReport, commit: ModelCommit): void {
  expect(report.position).toEqual({ tx: commit.last, crc: commit.crc, time: commit.time });
}

describe.each(Array.from({ length: STORES }, (_, index) => index + 1))('store %i', (seed) => {
  test('every transaction, and some written out', async () => {
    const { lines, generations } = await open(seed);
    const random = new Random(seed + 1000);
    for (const [index, line] of lines.entries()) {
      const generation = generations[index] as string;
      for (const commit of line) {
        const point = { kind: 'tx', tx: commit.last } as const;
        expectPoint(await scene.run({ point, generation, dryRun: true }), commit);
        if (commit.first === commit.last) continue;
        const within = txOffset(commit.first);
        const { facts, message } = await refusal({ kind: 'tx', tx: within }, generation);
        expect(message).toContain(`${commit.first} to ${commit.last}`);
        expect(facts['nearestAfter']).toBe(commit.last);
        expect(facts['nearestBefore']).toBe(commit.first === 0n ? undefined : commit.first - 1n);
      }
      for (let count = 0; count < WRITTEN; count += 1) {
        const commit = random.pick(line);
        expectPoint(await scene.run({ point: { kind: 'tx', tx: commit.last }, generation }), commit);
        await expectWritten(line, commit);
      }
      const end = line.at(-1)?.last ?? 0n;
      const { facts } = await refusal({ kind: 'tx', tx: txOffset(end + 1n) }, generation);
      expect(facts['nearestBefore']).toBe(end);
    }
  });

  test('every time at and around a commit, and the newest call of a reducer', async () => {
    const { lines, generations } = await open(seed);
    for (const [index, line] of lines.entries()) {
      const generation = generations[index] as string;
      const times = new Set(line.flatMap(({ time, ownTime }) => [time - 1n, time, time + 1n, ownTime ?? time]));
      for (const time of times) {
        const expected = lastNotLater(line, time);
        const point = { kind: 'timestamp', time: micros(time) } as const;
        if (expected === null) {
          const first = line.find((commit) => commit.time > time);
          const { facts } = await refusal(point, generation);
          // No name tells where the line's own first commit ends, unless an object holds nothing else.
          if (facts['nearestAfterFrom'] === undefined) expect(facts['nearestAfter']).toBe(first?.last);
          else expect([facts['nearestAfterFrom'], first]).toEqual([line[0]?.first, line[0]]);
          continue;
        }
        const report = await scene.run({ point, generation, dryRun: true });
        expectPoint(report, expected);
        const next = line[line.indexOf(expected) + 1];
        expect(report.point?.commit).toMatchObject({ last: expected.last, time: expected.ownTime });
        expect(report.point?.next?.first).toBe(next?.first);
        expect(report.point?.next?.time).toBe(next?.ownTime);
      }
      for (const reducer of [...REDUCERS, 'wipe', 'never']) {
        const at = line.findLastIndex((commit) => commit.reducer === reducer);
        const point = { kind: 'before-reducer', reducer } as const;
        const before = line[at - 1];
        if (at < 0) expect((await refusal(point, generation)).facts['nearestBefore']).toBe(line.at(-1)?.last);
        else if (before === undefined) await refusal(point, generation);
        else expectPoint(await scene.run({ point, generation, dryRun: true }), before);
      }
    }
  });
});

test('objects that overlap without a common end: every point behind the first run is led to by a snapshot within it', async () => {
  const replicaDir = vectorDirectory('v2-small');
  const { builder, generation, commits, logKeys } = await buildSimpleStore({ client: scene.client, replicaDir });
  const snapshots = (await listSnapshots(diskFiles, join(replicaDir, 'snapshots'))).map(({ tx }) => tx);
  const at = commits.findIndex(({ last }) => last >= (snapshots.toSorted((a, b) => (a < b ? 1 : -1))[0] ?? 0n));
  const { segment } = commits[at] ?? {};
  expect([commits[at - 1]?.segment, commits[at + 4]?.segment]).toEqual([segment, segment]);
  await scene.client.delete([...logKeys]);
  await builder.putLog(generation, { commits: commits.slice(0, at + 3), prev: crc32cValue(0) });
  await builder.putLog(generation, { commits: commits.slice(at - 1) });
  let line = 0n;
  for (const [index, commit] of commits.entries()) {
    line = commit.time > line ? commit.time : line;
    if (index < at - 2 || index > at + 8) continue;
    const byTx = await scene.run({ point: { kind: 'tx', tx: commit.last }, dryRun: true });
    expect(byTx.position).toMatchObject({ tx: commit.last, crc: commit.crc });
    const next = commits[index + 1];
    if (next === undefined || next.time <= line || line <= TIME_MIN) continue;
    const byTime = await scene.run({ point: { kind: 'timestamp', time: micros(next.time - 1n) }, dryRun: true });
    expect(byTime.position).toMatchObject({ tx: commit.last, crc: commit.crc });
  }
  await scene.run({ point: { kind: 'tx', tx: commits[at + 3]?.last ?? txOffset(0n) } });
  expect((await readRecordedLog(scene.target)).at(-1)?.last).toBe(commits[at + 3]?.last);
});
