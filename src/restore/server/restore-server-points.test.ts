/**
 * Invariant: a whole server as of a time has the newest image that is not later, and of each database its own last commit
 * that is not later; where a database has none, an older image, or none at all.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog } from '../../../test/support/recorded-log.ts';
import { RestoreScene } from '../../../test/support/restore-scene.ts';
import { ServerStoreBuilder } from '../../../test/support/server-store-builder.ts';
import { vectorDirectory } from '../../../test/vectors/vectors.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { systemClock } from '../../core/clock.ts';
import { UnrecoverablePointError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { type Micros, micros } from '../../core/types.ts';
import { prefixedClient } from '../../replica/wrap/prefixed.ts';
import { restoreServer } from './restore-server.ts';
import type { ServerRestoreReport } from './server-report.ts';

const ONE = vectorDirectory('v2-small');
const THREE = vectorDirectory('v2-batched/v1');

let scene: RestoreScene;
let one: readonly RecordedCommit[];
let three: readonly RecordedCommit[];
beforeEach(async () => {
  scene = await RestoreScene.open();
  [one, three] = await Promise.all([readRecordedLog(ONE), readRecordedLog(THREE)]);
});
afterEach(() => scene[Symbol.asyncDispose]());

const timeOf = (commit: RecordedCommit | undefined): bigint => commit?.time ?? 0n;
const firstTimed = (log: readonly RecordedCommit[]): bigint => timeOf(log.find(({ time }) => time > 0n));
const lastAt = (log: readonly RecordedCommit[], time: bigint): bigint | undefined =>
  log.findLast((commit) => commit.time <= time)?.last;

const run = (time: Micros): Promise<ServerRestoreReport> =>
  restoreServer({
    client: scene.client,
    clientAt: (prefix) => prefixedClient(scene.client, prefix),
    target: scene.target,
    point: { kind: 'timestamp', time },
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
  });

/** An image of replica 1 alone, long before; one of both at `second`. */
async function store(second: bigint): Promise<void> {
  const builder = new ServerStoreBuilder(scene.client);
  await builder.putFormat();
  const generation = await builder.putGeneration(1);
  await builder.putReplica(1n, ONE);
  await builder.putReplica(3n, THREE);
  const image = (time: bigint, replicas: readonly bigint[]): object => ({
    time,
    files: { 'metadata.toml': { content: `of ${time}` } },
    replicas,
  });
  await builder.putImage(generation, image(1_000_000n, [1n]) as never);
  await builder.putImage(generation, image(second, [1n, 3n]) as never);
  await builder.putHead(generation);
}

const metadata = (): Promise<string> => readFile(join(scene.target, 'metadata.toml'), 'utf8');

test('each database ends with its own last commit that is not later', async () => {
  const begin = [firstTimed(one), firstTimed(three)].reduce((a, b) => (a > b ? a : b));
  await store(begin);
  const ends = [timeOf(one.at(-1)), timeOf(three.at(-1))].reduce((a, b) => (a < b ? a : b));
  const time = micros(begin > ends ? begin : (begin + ends) / 2n);
  const report = await run(time);
  expect(report.replicas.map(({ replicaId, position }) => [replicaId, position?.tx])).toEqual([
    [1n, lastAt(one, time)],
    [3n, lastAt(three, time)],
  ]);
  for (const { replicaId, position } of report.replicas) {
    const restored = await readRecordedLog(join(scene.target, 'replicas', replicaId.toString()));
    expect(restored.at(-1)?.last).toBe(position?.tx);
  }
  expect(await metadata()).toBe(`of ${begin}`);
});

test('an image that is later is not used, nor one of a database that began later', async () => {
  const [older, younger] = firstTimed(one) < firstTimed(three) ? [one, three] : [three, one];
  expect(older).toBe(one);
  const time = micros(firstTimed(younger) - 1n);
  await store(firstTimed(younger));
  expect((await run(time)).replicas.map(({ replicaId }) => replicaId)).toEqual([1n]);
  expect(await metadata()).toBe('of 1000000');
  await scene.clear();
  // The image is early enough, and yet replica 3 had nothing then.
  scene.client.store.objects.clear();
  await store(2_000_000n);
  const report = await run(time);
  expect(report.replicas.map(({ replicaId }) => replicaId)).toEqual([1n]);
  expect(report.passedOver).toMatchObject([{ missing: [3n] }]);
});

test('before the first image there is no server to restore', async () => {
  await store(2_000_000n);
  await expect(run(micros(999_999n))).rejects.toThrow(UnrecoverablePointError);
  expect(await readdir(scene.root)).toEqual([]);
});
