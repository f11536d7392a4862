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
import { Random } from '../../test/sim/random.ts';
import { UnrecoverablePointError } from '../core/errors.ts';
import { micros, txOffset } from '../core/types.ts';
import { parseSnapshotDirName } from '../spacetimedb/file-names.ts';
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
          expect((await refusal(point, generation)).facts['nearestAfter']).toBe(first === line[0] ? 0n : first?.last);
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
