/** Invariant: the ranges are what can be restored, no more and no less, as far as names tell; holes lie between them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RecordedCommit } from '../../test/support/recorded-log.ts';
import { readRecordedLog } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { commitsBetween, positionOf, StoreBuilder } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { silentLog } from '../core/log.ts';
import { CorruptionError } from '../core/errors.ts';
import type { GenerationName } from '../layout/keys.ts';
import { readStore } from './read-store.ts';
import { type RecoverableRange, recoverableRanges } from './recoverable.ts';

const SMALL = vectorDirectory('v2-small');

let scene: RestoreScene;
let builder: StoreBuilder;
let commits: readonly RecordedCommit[];
let generation: GenerationName;
beforeEach(async () => {
  scene = await RestoreScene.open();
  builder = new StoreBuilder(scene.client);
  commits = await readRecordedLog(SMALL);
  await builder.putFormat();
  generation = await builder.putGeneration({ number: 1 });
});
afterEach(() => scene[Symbol.asyncDispose]());

const at = (tx: bigint): RecordedCommit => commitsBetween(commits, tx, tx)[0] as RecordedCommit;

async function ranges(of: GenerationName = generation): Promise<readonly RecoverableRange[]> {
  const signal = new AbortController().signal;
  return recoverableRanges(await readStore({ client: scene.client, parallelism: 4, log: silentLog, signal }), of);
}

const putLog = (from: bigint, to: bigint, into = generation): Promise<string[]> =>
  builder.putLog(into, { commits: commitsBetween(commits, from, to), commitsPerObject: 20 });

test('a whole line is one range, over parents and their snapshots', async () => {
  await putLog(0n, 100n);
  await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 1n, commit: at(1n) });
  const child = await builder.putGeneration({ number: 2, parent: { generation, position: positionOf(at(83n)) } });
  await putLog(84n, 299n, child);
  await builder.putSnapshot(child, { replicaDir: SMALL, tx: 180n, commit: at(180n) });
  const to = { tx: 299n, crc: at(299n).crc, time: at(299n).time, timeIsExact: true };
  expect(await ranges(child)).toMatchObject([{ first: 0n, base: 'log', snapshot: null, granularity: 'commit', to }]);
  expect(await ranges()).toMatchObject([{ first: 0n, to: { tx: 100n } }]);
});

test('behind a hole only a snapshot begins anew, and what has none before it is in no range', async () => {
  const keys = await putLog(0n, 299n);
  await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(180n) });
  const holding = (tx: bigint): string => {
    const digits = (value: bigint): string => value.toString().padStart(20, '0');
    return keys.find((key) => key.includes(`/${digits(at(tx).segment)}/`) && key.includes(`-${digits(tx)}.`)) ?? '';
  };
  await scene.client.delete([holding(59n)]);
  expect(await ranges()).toMatchObject([
    { first: 0n, base: 'log', to: { tx: 39n, crc: at(39n).crc } },
    { first: 180n, base: 'snapshot', snapshot: 180n, granularity: 'commit', to: { tx: 299n } },
  ]);
});

test('a snapshot whose log is gone is one point; followed by the log it is the first of a range', async () => {
  await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: at(180n) });
  expect(await ranges()).toMatchObject([
    { first: 180n, base: 'snapshot', granularity: 'snapshot-only', to: { tx: 180n, crc: null, time: null } },
  ]);
  await putLog(181n, 299n);
  expect(await ranges()).toMatchObject([{ first: 180n, from: null, granularity: 'commit', to: { tx: 299n } }]);
});

test('a log that begins above 0 without a snapshot is no range; a damaged document of the line is corruption', async () => {
  await putLog(147n, 299n);
  expect(await ranges()).toEqual([]);
  scene.flip(`generations/${generation}/generation.json`, 30);
  await expect(ranges()).rejects.toThrow(CorruptionError);
});
