// Invariant: databases share one memory budget, and none keeps another one from storing its log.
import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ReplicatorScene } from '../../test/support/replicator-scene.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import { txOffset } from '../core/types.ts';
import { FaultyReplicaClient } from '../replica/wrap/faulty.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { STEADY_BYTES_MAX } from './log-uploader.ts';

const MIB = 1024 * 1024;

async function writeLog(scene: ReplicatorScene, { commits, bytes }: { commits: number; bytes: number }): Promise<void> {
  for (const name of await readdir(scene.at('clog'))) await rm(scene.at('clog', name));
  await rm(scene.at('snapshots'), { recursive: true });
  const records = randomBytes(bytes);
  const parts = Array.from({ length: commits }, (_, tx) => encodeCommit({ version: 1, tx: txOffset(tx), records }));
  const log = Buffer.concat([encodeSegmentHeader({ version: 1 }), ...parts]);
  await writeFile(scene.at('clog', '00000000000000000000.stdb.log'), log);
}

test.each([
  ['little', 20, 1_000],
  ['more than its share', 20, (2 * STEADY_BYTES_MAX) / 20],
])('regression: a store that does not answer keeps no other database from storing %s', async (_, commits, bytes) => {
  const memory = { budget: new ByteBudget(8 * MIB), steadyBudget: new ByteBudget(2 * MIB) };
  await using stuck = await ReplicatorScene.open();
  await writeLog(stuck, { commits: 20, bytes: MIB });
  await using fit = await ReplicatorScene.open();
  await writeLog(fit, { commits, bytes });
  const faults = [{ kind: 'fail-before' as const, operation: 'put' as const, key: /\/log\//, times: 1e9 }];
  const faulty = new FaultyReplicaClient(stuck.client, { clock: systemClock, faults });
  const client = retryingClient(faulty, { clock: systemClock });
  const one = await stuck.replicator({ ...memory, once: false, client });
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while (faulty.struck === 0) await systemClock.sleep(5);
  const two = await fit.runOnce(memory);
  expect(two.status().stored?.tx).toBe(BigInt(commits - 1));
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  expect([memory.budget.held, memory.steadyBudget.held]).toEqual([0, 0]);
});

test.each([1, MIB, 3 * MIB])('twelve databases share %i bytes', async (bytes) => {
  const budget = new ByteBudget(bytes);
  const scenes = await Promise.all(Array.from({ length: 12 }, () => ReplicatorScene.open()));
  const all = await Promise.all(
    scenes.map((scene) =>
      // A byte is enough for the log, and for no object of a snapshot.
      bytes === 1 ? scene.runOnceFailing('LOCAL_FILE', { budget }) : scene.runOnce({ budget }),
    ),
  );
  for (const one of all) expect(one.status().stored?.tx).toBe(299n);
  expect(budget.held).toBe(0);
  for (const scene of scenes) await scene[Symbol.asyncDispose]();
});
