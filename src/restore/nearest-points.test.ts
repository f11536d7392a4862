/**
 * Invariant: a point that is offered instead of one that cannot be restored can be restored itself: where no name tells
 * at which transaction a commit ends, none is named.
 */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { ReplicateError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { crc32cValue, micros, type TxOffset, txOffset } from '../core/types.ts';
import { listSnapshots } from '../spacetimedb/snapshots.ts';
import { nearestPoints, noSuchPoint } from './nearest-points.ts';
import type { RecoverableRange } from './recoverable.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

async function refusal(tx: bigint): Promise<ReplicateError> {
  const error = await scene
    .run({ point: { kind: 'tx', tx: txOffset(tx) }, dryRun: true })
    .catch((thrown: unknown) => thrown);
  if (error instanceof ReplicateError) return error;
  throw error;
}

test('a run that begins within an object: only the transaction from which on its first commit lies is known', async () => {
  const replicaDir = vectorDirectory('v2-small');
  const { commits, logKeys, builder, generation } = await buildSimpleStore({
    client: scene.client,
    replicaDir,
    snapshots: [],
  });
  await scene.client.delete([...logKeys]);
  const [snapshot] = await listSnapshots(diskFiles, join(replicaDir, 'snapshots'));
  const tx = snapshot?.tx ?? txOffset(0n);
  await builder.putSnapshot(generation, { replicaDir, tx, commit: null });
  const later = commits.filter(({ first }) => first > tx);
  const from = later[0]?.first as TxOffset;
  await builder.putLog(generation, { commits: later });
  const error = await refusal(tx);
  expect(error.message).toContain(`the end of the first commit from transaction ${from} on`);
  expect(error.facts).toMatchObject({ nearestAfterFrom: from });
  expect(error.facts['nearestAfter']).toBeUndefined();
  expect(error.hint).not.toContain('-tx');
});

test('where a name tells the first point, it is offered', () => {
  const range: RecoverableRange = {
    first: txOffset(7n),
    from: { tx: txOffset(9n), crc: crc32cValue(1) },
    fromTime: micros(5n),
    to: { tx: txOffset(20n), crc: null, time: null, timeIsExact: true },
    base: 'snapshot',
    snapshot: txOffset(7n),
    granularity: 'commit',
  };
  expect(nearestPoints([range], txOffset(3n)).after).toEqual({ tx: 9n, time: 5n });
  const error = noSuchPoint('gone', nearestPoints([range], txOffset(3n)));
  expect([error.facts['nearestAfter'], error.hint]).toEqual([9n, expect.stringContaining('-tx 9')]);
});
