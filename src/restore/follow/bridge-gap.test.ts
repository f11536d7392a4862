/**
 * Invariant: where the log is gone, a standby goes on from a newer snapshot of its own line and holds nothing older; a
 * kill in between is finished, or taken back, by the next start.
 */
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StandbyScene } from '../../../test/support/standby-scene.ts';
import { positionOf } from '../../../test/support/store-builder.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { LocalFileError, UnrecoverablePointError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { txOffset } from '../../core/types.ts';
import { CLOG_DIR, formatSegmentName, formatSnapshotDirName, SNAPSHOTS_DIR } from '../../spacetimedb/file-names.ts';
import { readStore } from '../read-store.ts';
import { bridgeGap, finishBridge } from './bridge-gap.ts';
import { readStandbyPosition, writeStandbyPosition } from './standby-position.ts';
import { standbySystem } from './standby-system.ts';

let it: StandbyScene;
beforeEach(async () => {
  it = await StandbyScene.open();
  await it.store(0n, 89n);
  await it.followTo(89n);
  await it.store(90n, 99n);
  await it.followTo(99n);
});
afterEach(() => it[Symbol.asyncDispose]());

const snapshotsThere = (): Promise<string[]> => readdir(join(it.target, SNAPSHOTS_DIR));

test('a newer snapshot and the log behind it are put in, and followed', async () => {
  await it.store(170n, 200n, { commitsPerObject: 5 });
  await it.storeSnapshot();
  await it.whileFollowing(async (reaches) => {
    await reaches(200n);
    await it.store(201n, 240n);
    await reaches(240n);
  });
  const log = it.between(170n, 240n).map((commit) => ({ ...commit, segment: txOffset(170n) }));
  await it.scene.expectLog(log);
  await it.expectSnapshot();
  expect((await readStandbyPosition(it.target))?.bridge).toBeUndefined();
  expect((await readdir(it.target)).filter((name) => name.startsWith('.stdb-tmp'))).toEqual([]);
});

test('a snapshot of another line leads nowhere', async () => {
  const [parent] = it.between(49n, 49n);
  if (parent === undefined) throw new RangeError('no commit at 49');
  const position = positionOf(parent);
  const generation = await it.builder.putGeneration({ number: 2, parent: { generation: it.generation, position } });
  await it.store(170n, 200n, { generation });
  await it.storeSnapshot();
  await expect(it.standby().run(new AbortController().signal)).rejects.toThrow(UnrecoverablePointError);
  await it.scene.expectLog(it.between(0n, 99n));
  expect(await snapshotsThere()).toEqual([]);
});

test('no space for it: nothing is put in, and the standby stays one that opens', async () => {
  await it.store(170n, 200n);
  await it.storeSnapshot();
  const own = await standbySystem(it.target);
  const position = await readStandbyPosition(it.target);
  if (position === null) throw new RangeError('nothing was noted');
  const signal = new AbortController().signal;
  const view = await readStore({ client: it.scene.client, parallelism: 2, log: silentLog, signal });
  const full = { ...own, system: { ...own.system, freeBytes: () => Promise.resolve(1000) } };
  const facts = { client: it.scene.client, budget: new ByteBudget(1 << 24), parallelism: 2, log: silentLog };
  const bridging = bridgeGap({ ...facts, directory: it.target, own: full, position, view, signal });
  await expect(bridging).rejects.toThrow(LocalFileError);
  await it.scene.expectLog(it.between(0n, 99n));
  expect(await snapshotsThere()).toEqual([]);
  expect((await readdir(it.target)).filter((name) => name.startsWith('.stdb-tmp'))).toEqual([]);
  await it.followTo(200n);
});

test.each([
  ['the snapshot alone is in: it goes', false],
  ['the log is in, and the older one still there: that goes', true],
])('killed when %s', async (_, isLogIn) => {
  const own = await standbySystem(it.target);
  const noted = await readStandbyPosition(it.target);
  if (noted === null) throw new RangeError('nothing was noted');
  const before = it.target;
  const beside = join(it.scene.root, 'before');
  await cp(before, beside, { recursive: true });
  await it.store(170n, 200n);
  await it.storeSnapshot();
  await it.followTo(200n);
  // The moment before: what was there, and what was put in.
  for (const place of [CLOG_DIR, SNAPSHOTS_DIR]) {
    await cp(join(beside, place), join(it.target, place), { recursive: true });
  }
  if (!isLogIn) await rm(join(it.target, CLOG_DIR, formatSegmentName(txOffset(170n))));
  const bridge = { snapshot: txOffset(180n), segment: txOffset(170n) };
  await writeStandbyPosition({ ...noted, bridge }, { directory: it.target, system: own.system });
  expect(await finishBridge(it.target, own)).toEqual(noted);
  expect(await snapshotsThere()).toEqual(isLogIn ? [formatSnapshotDirName(txOffset(180n))] : []);
  const segments = (await readdir(join(it.target, CLOG_DIR))).filter((name) => name.endsWith('.log'));
  expect(segments).toEqual([formatSegmentName(txOffset(isLogIn ? 170n : 0n))]);
  await rm(beside, { recursive: true });
  await it.followTo(200n);
});
