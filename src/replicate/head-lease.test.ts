// Invariant: whoever believes to hold the lease holds it, whatever becomes of answers; a lost one is never written over.
import { expect, test } from 'vitest';
import { HeadScene, POSITION } from '../../test/support/head-scene.ts';
import { DeafClient, LateClient } from '../../test/support/unruly-clients.ts';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { FencedError } from '../core/errors.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { PreconditionFailedError, UnsupportedByStoreError } from '../replica/replica-client.ts';
import { FaultyReplicaClient, type FaultKind } from '../replica/wrap/faulty.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';
import type { HeadLease } from './head-lease.ts';

const STEPS = ['take', 'renew', 'release'] as const;

/** Takes, renews and releases; `disturb` is called before the step that it names. */
async function live(scene: HeadScene, disturb: { at: (typeof STEPS)[number]; by: () => void }): Promise<HeadLease> {
  const before = (step: (typeof STEPS)[number]): void => {
    if (disturb.at === step) disturb.by();
  };
  before('take');
  const lease = await scene.take();
  before('renew');
  await lease.renew(null);
  before('release');
  await lease.release(POSITION);
  return lease;
}

test.each(STEPS.flatMap((at) => (['fail-before', 'fail-after'] as const).map((kind) => [at, kind] as const)))(
  '%s is settled after %s',
  async (at, kind) => {
    const clock = new VirtualClock();
    const store = new MemoryReplicaClient();
    const faulty = new FaultyReplicaClient(store, { clock });
    const scene = new HeadScene(retryingClient(faulty, { clock }), clock);
    await live(scene, { at, by: () => faulty.inject({ kind, operation: 'put', times: 2 } as FaultKind) });
    expect(faulty.struck).toBe(2);
    expect(await scene.head()).toMatchObject({ session: 'a', released: true, position: POSITION });
  },
);

test.each(STEPS)('%s: an earlier try that arrives after a later one changes nothing', async (at) => {
  const clock = new VirtualClock();
  const store = new LateClient();
  const scene = new HeadScene(retryingClient(store, { clock }), clock);
  await live(scene, { at, by: () => store.delayNextPut() });
  const settled = await scene.head();
  expect(await store.arrive()).toMatchObject([{ status: 'rejected', reason: { code: 'PRECONDITION_FAILED' } }]);
  expect(await scene.head()).toEqual(settled);
  expect(settled).toMatchObject({ released: true, position: POSITION });
});

test.each(['before', 'after'] as const)('a renewal that was given up, and arrives %s the next one', async (when) => {
  const store = new LateClient();
  const scene = new HeadScene(store);
  const lease = await scene.take();
  store.delayNextPut();
  await expect(lease.renew(null)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  if (when === 'before') expect(await store.arrive()).toMatchObject([{ status: 'fulfilled' }]);
  await lease.renew(POSITION);
  if (when === 'after') expect(await store.arrive()).toMatchObject([{ status: 'rejected' }]);
  expect(await scene.head()).toMatchObject({ session: 'a', position: POSITION });
  await lease.release(POSITION);
});

test('one caller that gives up ends neither the renewal nor the others that wait for it', async () => {
  const clock = new VirtualClock();
  const faulty = new FaultyReplicaClient(new MemoryReplicaClient(), { clock });
  const scene = new HeadScene(faulty, clock);
  const lease = await scene.take();
  faulty.inject({ kind: 'delay', delayMs: 10, operation: 'put' });
  const impatient = new AbortController();
  const waits = [lease.renew(POSITION, { signal: impatient.signal }), lease.renew(POSITION)];
  impatient.abort(new Error('enough'));
  expect(await Promise.allSettled(waits)).toMatchObject([
    { status: 'rejected', reason: { message: 'enough' } },
    { status: 'fulfilled' },
  ]);
  expect(await scene.head()).toMatchObject({ position: POSITION });
});

test.each(['exclusive', 'advisory'] as const)(
  '%s: a replaced writer is fenced for good, and asks no more',
  async (mode) => {
    const scene = new HeadScene();
    const lease = await scene.take({ mode });
    await scene.overwrite({ session: 'b', generation: scene.generationNamed(2) });
    await expect(lease.renew(null)).rejects.toThrow(FencedError);
    const { requests } = scene.memory.store;
    const before = { ...requests };
    await expect(lease.ensureFresh(null)).rejects.toThrow(FencedError);
    await expect(lease.release(null)).rejects.toThrow(FencedError);
    expect(requests).toEqual(before);
    expect(await scene.head()).toMatchObject({ session: 'b' });
  },
);

test.each(['exclusive', 'advisory'] as const)('%s: a head that was removed fences as well', async (mode) => {
  const scene = new HeadScene();
  const lease = await scene.take({ mode });
  await scene.memory.delete(['head.json']);
  await expect(lease.release(null)).rejects.toThrow(/somebody who removed head\.json/);
});

test('the same session in a later holding is another holder', async () => {
  const scene = new HeadScene();
  const lease = await scene.take();
  await scene.overwrite({ generation: scene.generationNamed(2) });
  await expect(lease.renew(null)).rejects.toThrow(FencedError);
});

test('a taken head is refused to whoever has read another one', async () => {
  for (const mode of ['exclusive', 'advisory'] as const) {
    const scene = new HeadScene();
    await scene.take({ mode });
    const settled = await scene.head();
    await expect(scene.take({ mode, change: { session: 'b' } })).rejects.toThrow(PreconditionFailedError);
    expect(await scene.head()).toEqual(settled);
  }
});

test('without conditions, of two that take at once one is told so', async () => {
  const scene = new HeadScene(new MemoryReplicaClient({ conditional: 'none' }));
  const taken = await Promise.allSettled(
    ['a', 'b'].map((session) => scene.take({ mode: 'advisory', change: { session, ttlMs: 500 } })),
  );
  expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const { session } = await scene.head();
  expect(taken[session === 'a' ? 0 : 1]).toMatchObject({ status: 'fulfilled' });
});

test('advisory: released is never said, the position is', async () => {
  const scene = new HeadScene(new DeafClient());
  const lease = await scene.take({ mode: 'advisory' });
  expect(lease.mode).toBe('advisory');
  expect(scene.said('warn')).toEqual([expect.stringMatching(/ignores conditional writes/)]);
  await lease.release(POSITION);
  expect(await scene.head()).toMatchObject({ released: false, position: POSITION });
});

test('a long session asks once whether a swap of what is gone is refused', async () => {
  const scene = new HeadScene();
  const lease = await scene.take();
  const puts: number[] = [];
  for (let renewals = 0; renewals < 4; renewals += 1) {
    scene.memory.store.resetCounters();
    scene.clock.skip(1);
    await lease.renew(null);
    puts.push(scene.memory.store.requests.put);
  }
  expect(puts).toEqual([1, 2, 1, 1]);
});

test('that question is asked again where it had no answer', async () => {
  const clock = new VirtualClock();
  const store = new MemoryReplicaClient();
  const faulty = new FaultyReplicaClient(store, { clock });
  const scene = new HeadScene(faulty, clock);
  const lease = await scene.take();
  clock.skip(1);
  await lease.renew(null);
  faulty.inject({ kind: 'fail-before', operation: 'put' });
  clock.skip(1);
  await expect(lease.renew(null)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  const puts = store.store.requests.put;
  await lease.renew(null);
  await lease.renew(null);
  expect(store.store.requests.put - puts).toBe(3);
});

test('a store that swaps what is gone is found out, and nobody relies on it', async () => {
  const scene = new HeadScene(Object.assign(new DeafClient(), { ifAbsent: 'honours' as const }));
  const lease = await scene.take();
  scene.clock.skip(1);
  await lease.renew(null);
  scene.clock.skip(1);
  await expect(lease.renew(null)).rejects.toThrow(UnsupportedByStoreError);
});

test('a store that refuses every swap without a reason is not asked for ever', async () => {
  const scene = new HeadScene();
  const lease = await scene.take();
  scene.memory.put = () => Promise.reject(new PreconditionFailedError('no'));
  await expect(lease.renew(null)).rejects.toThrow(/refuses to replace head\.json although/);
});

test('before a write the lease is at most half of its time old, by both clocks', async () => {
  const scene = new HeadScene();
  scene.clock.setForth(86_400_000);
  const lease = await scene.take({ change: { ttlMs: 60_000 } });
  const renewals = async (): Promise<number> => {
    const before = scene.memory.store.requests.put;
    await lease.ensureFresh(null);
    return scene.memory.store.requests.put - before;
  };
  expect(await renewals()).toBe(0);
  scene.clock.skip(29_999);
  expect(await renewals()).toBe(0);
  scene.clock.skip(1);
  expect(await renewals()).toBe(1);
  // The machine slept: its monotonic clock stood still.
  scene.clock.setForth(3_600_000);
  expect(await renewals()).toBe(2);
  // Somebody set the clock back.
  scene.clock.setForth(-7_200_000);
  expect(await renewals()).toBe(0);
  scene.clock.skip(30_000);
  expect(await renewals()).toBe(1);
});
