/**
 * Invariant: a restore follows the line: a generation up to its end, before it its parent up to the parent point; never
 * a commit or snapshot of another history, and never a log that a server could not open.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readRecordedLog, type RecordedCommit } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { commitsBetween, positionOf, StoreBuilder } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { CorruptionError, UnrecoverablePointError } from '../core/errors.ts';
import { crc32cValue } from '../core/types.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

const SMALL = vectorDirectory('v2-small');

const at = (commits: readonly RecordedCommit[], tx: bigint): RecordedCommit =>
  commitsBetween(commits, tx, tx)[0] as RecordedCommit;

describe('lines', () => {
  test('a takeover by the same owner goes on in the same segment', async () => {
    const { builder, commits, generation } = await halves(60n);
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 60n)) },
    });
    await builder.putLog(child, { commits: commitsBetween(commits, 61n, 299n), commitsPerObject: 50 });
    await builder.putHead(child, commits.at(-1) ?? null);
    const report = await scene.run();
    await scene.expectLog(commits);
    expect(report.generation).toBe(child);
  });

  test('a parent is cut inside of an object, where its child branched off', async () => {
    const { builder, commits, generation } = await halves(100n);
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 83n)) },
    });
    await builder.putLog(child, { commits: commitsBetween(commits, 84n, 120n), commitsPerObject: 10 });
    await builder.putHead(child, at(commits, 120n));
    await scene.run();
    await scene.expectLog(commitsBetween(commits, 0n, 120n));
  });

  test('a child without data of its own ends at its parent point; the later commits are told of', async () => {
    const { builder, commits, generation } = await halves(100n);
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 83n)) },
    });
    await builder.putHead(child, null);
    const report = await scene.run();
    await scene.expectLog(commitsBetween(commits, 0n, 83n));
    expect(report.position?.tx).toBe(83n);
    expect(report.plan?.abandoned).toMatchObject([{ generation, last: { tx: 100n } }]);
    expect(report.warnings).toHaveLength(1);
  });

  test('a wrong parent point is corruption', async () => {
    const { builder, commits, generation } = await halves(100n);
    const position = { tx: at(commits, 83n).last, crc: crc32cValue(1) };
    const child = await builder.putGeneration({ number: 2, parent: { generation, position } });
    await builder.putHead(child, null);
    await expect(scene.run()).rejects.toThrow(CorruptionError);
    await scene.expectNothing();
  });

  test('a snapshot beyond the parent point is of another history', async () => {
    const { builder, commits, generation } = await halves(299n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 1n, commit: at(commits, 1n) });
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    const child = await builder.putGeneration({
      number: 2,
      parent: { generation, position: positionOf(at(commits, 160n)) },
    });
    await builder.putLog(child, { commits: commitsBetween(commits, 161n, 250n) });
    await builder.putHead(child, at(commits, 250n));
    const report = await scene.run();
    expect(report.snapshot).toBe(1n);
    await scene.expectLog(commitsBetween(commits, 0n, 250n));
  });

  test('objects that overlap, at other levels and in unlucky places, lead to the same bytes', async () => {
    const { builder, commits, generation } = await halves(299n);
    const prevOf = (tx: bigint): RecordedCommit => at(commits, tx);
    await builder.putLog(generation, { commits: commitsBetween(commits, 0n, 99n), level: 1, prev: crc32cValue(0) });
    // Leads furthest at first, and then nowhere.
    await builder.putLog(generation, { commits: commitsBetween(commits, 100n, 133n), prev: prevOf(99n).crc });
    await builder.putLog(generation, {
      commits: commitsBetween(commits, 200n, 299n),
      level: 2,
      prev: prevOf(199n).crc,
    });
    await scene.run();
    await scene.expectLog(commits);
  });

  test('without a head, the highest generation that holds something', async () => {
    const { builder, commits } = await halves(50n);
    await builder.putGeneration({ number: 9 });
    await scene.run();
    await scene.expectLog(commitsBetween(commits, 0n, 50n));
  });

  /** Generation 1 holds transactions 0 to `last`, in objects of 40 commits. No head. */
  async function halves(last: bigint) {
    const builder = new StoreBuilder(scene.client);
    const commits = await readRecordedLog(SMALL);
    await builder.putFormat();
    const generation = await builder.putGeneration({ number: 1 });
    await builder.putLog(generation, { commits: commitsBetween(commits, 0n, last), commitsPerObject: 40 });
    return { builder, commits, generation };
  }
});

describe('a log that begins above 0', () => {
  test('goes with the snapshot that it follows', async () => {
    const { builder, commits, generation } = await pruned(147n, 180n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    await scene.run();
    await scene.expectLog(commitsBetween(commits, 147n, 299n));
    await scene.expectSnapshot(SMALL, 180n);
  });

  test('right after the snapshot: its own commit comes from the manifest', async () => {
    const { builder, commits, generation } = await pruned(181n, 180n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    const report = await scene.run();
    expect(report.position?.tx).toBe(299n);
    const restored = await readRecordedLog(scene.target);
    expect(restored.map(({ crc }) => crc)).toEqual(commitsBetween(commits, 180n, 299n).map(({ crc }) => crc));
  });

  test('right after the snapshot, without its commit: the log goes on, and that is enough', async () => {
    const { builder, commits, generation } = await pruned(181n, 0n);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: null });
    const report = await scene.run();
    expect(report.snapshot).toBe(180n);
    const restored = await readRecordedLog(scene.target);
    expect(restored[0]?.first).toBe(181n);
    expect(restored.map(({ crc }) => crc)).toEqual(commitsBetween(commits, 181n, 299n).map(({ crc }) => crc));
  });

  test('a snapshot alone with its commit is a recovery point, without it is none', async () => {
    const builder = new StoreBuilder(scene.client);
    const commits = await readRecordedLog(SMALL);
    const generation = await builder.putGeneration({ number: 1 });
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: null });
    await expect(scene.run()).rejects.toThrow(UnrecoverablePointError);
    await scene.expectNothing();
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(commits, 180n) });
    expect((await scene.run()).position?.tx).toBe(180n);
    expect((await readRecordedLog(scene.target)).map(({ last }) => last)).toEqual([180n]);
  });

  test('without a snapshot there is no recovery point; the other line that has one is named', async () => {
    const { builder, commits } = await pruned(147n, 0n);
    await expect(scene.run()).rejects.toThrow(UnrecoverablePointError);
    const other = await builder.putGeneration({ number: 2 });
    await builder.putLog(other, { commits: commitsBetween(commits, 0n, 20n) });
    await expect(scene.run()).rejects.toSatisfy(
      (error) => error instanceof UnrecoverablePointError && !!error.hint?.includes(other),
    );
    await scene.expectNothing();
    expect((await scene.run({ generation: '2' })).position?.tx).toBe(20n);
  });

  /** A generation whose log begins at `first`, and whose `prev` is 0 or, with `before`, that commit's checksum. */
  async function pruned(first: bigint, before: bigint) {
    const builder = new StoreBuilder(scene.client);
    const commits = await readRecordedLog(SMALL);
    await builder.putFormat();
    const generation = await builder.putGeneration({ number: 1 });
    const prev = before === 0n ? { prev: crc32cValue(0) } : {};
    await builder.putLog(generation, { commits: commitsBetween(commits, first, 299n), commitsPerObject: 30, ...prev });
    await builder.putHead(generation, commits.at(-1) ?? null);
    return { builder, commits, generation };
  }
});
