/**
 * Invariant: wherever a restore is told to end, a server opens what is there: the last segment is of version 1 and holds a
 * whole first commit, the snapshot's own commit is in the log, each segment that can have an index has one, and nothing
 * else lies there.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { parseSnapshotDirName } from '../spacetimedb/file-names.ts';
import { SEGMENT_HEADER_BYTES, SEGMENT_VERSION_OFFSET } from '../spacetimedb/segment-header.ts';
import type { PointRequest } from './point-request.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

/** The first and the last commit of each segment, the ones beside them, and a few between. */
const ends = (commits: readonly RecordedCommit[]): RecordedCommit[] =>
  commits.filter(({ segment }, index) => {
    const isEdge = [-2, -1, 1, 2].some((step) => commits[index + step]?.segment !== segment);
    return isEdge || index % 37 === 0;
  });

test.each(['v2-small', 'v2-compressed', 'v2-batched/v1', 'v2-batched/v0'] as const)('%s', async (name) => {
  const { commits } = await buildSimpleStore({
    client: scene.client,
    replicaDir: vectorDirectory(name),
    commitsPerObject: 9,
  });
  const chosen = ends(commits);
  expect(chosen.length).toBeGreaterThan(4);
  for (const { last } of chosen) {
    const point: PointRequest = { kind: 'tx', tx: last };
    const { snapshot } = await scene.run({ point });
    const clog = join(scene.target, 'clog');
    const names = (await readdir(clog)).sort();
    const segments = names.filter((file) => file.endsWith('.stdb.log'));
    for (const file of segments) {
      const bytes = await readFile(join(clog, file));
      const isLast = file === segments.at(-1);
      expect(bytes.byteLength, file).toBeGreaterThan(SEGMENT_HEADER_BYTES);
      if (isLast) expect(bytes[SEGMENT_VERSION_OFFSET], `${file} to ${last}`).toBe(1);
      const index = file.replace(/log$/, 'ofs');
      expect(names.includes(index), `${index} to ${last}`).toBe(bytes[SEGMENT_VERSION_OFFSET] === 1);
    }
    expect(names.filter((file) => !/\.stdb\.(?:log|ofs)$/.test(file))).toEqual([]);
    const restored = await readRecordedLog(scene.target);
    expect(restored.at(-1)?.last).toBe(last);
    const snapshots = await readdir(join(scene.target, 'snapshots'));
    expect(snapshots.map(parseSnapshotDirName)).toEqual(snapshot === null ? [] : [snapshot]);
    const own = restored.some((commit) => commit.first <= (snapshot ?? 0n) && (snapshot ?? 0n) <= commit.last);
    expect(own, `the commit of ${snapshot}`).toBe(true);
    await scene.clear();
  }
});
