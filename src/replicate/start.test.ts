// Invariant: a start finds all that its line holds, and a passing failure of the store never ends it.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ReplicatorScene } from '../../test/support/replicator-scene.ts';
import { systemClock } from '../core/clock.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import { PreconditionFailedError } from '../replica/replica-client.ts';
import { FaultyReplicaClient } from '../replica/wrap/faulty.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';

const FIRST = '00000000000000000000.stdb.log';
const SECOND = '00000000000000000147.stdb.log';

test('regression: a child that stored only a snapshot stays in the line', async () => {
  await using scene = await ReplicatorScene.open();
  await rename(scene.at('snapshots'), scene.beside('snapshots'));
  await scene.runOnce();
  await scene.killHolder();
  await rename(scene.beside('snapshots'), scene.at('snapshots'));
  await scene.runOnce();
  const child = (await scene.head()).generation;
  expect(await scene.manifests()).toEqual([expect.stringContaining(child)]);
  await scene.killHolder();
  await scene.runOnce();
  expect((await scene.generation()).parent?.generation).toBe(child);
  expect(await scene.manifests()).toHaveLength(1);
});

test('a child that stored nothing at all is left out of the line', async () => {
  await using scene = await ReplicatorScene.open();
  await scene.runOnce();
  const first = (await scene.head()).generation;
  for (let restarts = 0; restarts < 3; restarts += 1) {
    await scene.killHolder();
    await scene.runOnce();
    expect((await scene.generation()).parent?.generation).toBe(first);
  }
});

test('regression: a head of a child whose segments are named otherwise finds what that child stored', async () => {
  await using scene = await ReplicatorScene.open();
  const rest = (await readFile(scene.at('clog', SECOND))).subarray(10);
  await writeFile(scene.at('clog', SECOND), (await readFile(scene.at('clog', SECOND))).subarray(0, 5_000));
  await scene.runOnce();
  // The same log, as somebody who restored it by hand may write it: in one file.
  await rm(scene.at('clog', SECOND));
  await writeFile(scene.at('clog', FIRST), Buffer.concat([await readFile(scene.at('clog', FIRST)), rest]));
  const stored = (await scene.logObjects()).at(-1)?.last;
  await scene.killHolder();
  let taken: Awaited<ReturnType<typeof scene.head>> | null = null;
  const put = scene.client.put.bind(scene.client);
  scene.client.put = async (key, ...more) => {
    const answer = await put(key, ...more);
    if (key === 'head.json') taken ??= await scene.head();
    return answer;
  };
  await scene.runOnce();
  scene.client.put = put;
  // As after a kill: the head still has the position of the start.
  await scene.killHolder({ position: (taken as { position: HeadPosition } | null)?.position ?? null });
  expect((await scene.head()).position?.tx).toBe(stored);
  const before = await scene.logObjects();
  await scene.runOnce();
  expect(await scene.logObjects()).toEqual(before);
  expect((await scene.generation()).parent?.position.tx).toBe(299n);
});

test('regression: without a head, a child that holds only a snapshot goes on at its parent point', async () => {
  await using scene = await ReplicatorScene.open();
  await rename(scene.at('snapshots'), scene.beside('snapshots'));
  await scene.runOnce();
  await scene.killHolder();
  await rename(scene.beside('snapshots'), scene.at('snapshots'));
  await scene.runOnce();
  const child = (await scene.head()).generation;
  const before = await scene.logObjects();
  await scene.client.delete(['head.json']);
  await scene.runOnce();
  expect(await scene.logObjects()).toEqual(before);
  expect((await scene.generation()).parent).toMatchObject({ generation: child, position: { tx: 299n } });
});

test.each(['head.json', /generation\.json$/])('regression: a body of %s that breaks is read again', async (key) => {
  await using scene = await ReplicatorScene.open();
  await scene.runOnce();
  const faulty = new FaultyReplicaClient(scene.client, {
    clock: systemClock,
    faults: [{ kind: 'break', after: 10, operation: 'get', key }],
  });
  const client = retryingClient(faulty, { clock: systemClock });
  await scene.runOnce({ client });
  expect(faulty.struck).toBe(1);
});

test('regression: a store that refuses a condition that holds is an error, not a loop', async () => {
  await using scene = await ReplicatorScene.open();
  const put = scene.client.put.bind(scene.client);
  scene.client.put = async (key, ...more) => {
    if (key === 'head.json') throw new PreconditionFailedError('412');
    return put(key, ...more);
  };
  await expect(scene.runOnce()).rejects.toMatchObject({ code: 'UNSUPPORTED_BY_STORE' });
  expect((await scene.keys()).filter((key) => key.endsWith('generation.json')).length).toBeLessThanOrEqual(2);
});

test('regression: a database whose store does not answer is starting, not waiting for a log', async () => {
  await using scene = await ReplicatorScene.open();
  const faults = [{ kind: 'fail-before' as const, times: 1e9 }];
  const faulty = new FaultyReplicaClient(scene.client, { clock: systemClock, faults });
  const client = retryingClient(faulty, { clock: systemClock });
  const one = await scene.replicator({ once: false, client });
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while (faulty.struck < 2) await systemClock.sleep(5);
  expect(one.status()).toMatchObject({ state: 'starting', storeAnswered: false });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});

test('regression: who is told to end while it waits for the lease ends then, and says who holds it', async () => {
  await using scene = await ReplicatorScene.open();
  await scene.runOnce();
  const { process } = await scene.head();
  await scene.killHolder({ process: { ...process, bootId: null } });
  const one = await scene.replicator({ once: false });
  const running = one.run(new AbortController().signal);
  while (!one.status().storeAnswered) await systemClock.sleep(5);
  expect(one.status().state).toBe('starting');
  one.drain();
  await expect(running).rejects.toMatchObject({ code: 'LEASE_HELD' });
});
