// Invariant: a lease is taken from a process that may live only after it stood still for its whole ttl, by our own clock.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { HeadScene } from '../../test/support/head-scene.ts';
import { LeaseHeldError } from '../core/errors.ts';
import { type ProcessIdentity, readProcessIdentity } from '../core/process-identity.ts';
import { readHead, type StoredHead } from './head-lease-read.ts';
import { type LeaseWaitOptions, waitForLease } from './lease-wait.ts';

const TTL_MS = 60_000;

interface Wait {
  readonly scene: HeadScene;
  readonly held: StoredHead;
  readonly wait: (options?: Partial<LeaseWaitOptions>) => ReturnType<typeof waitForLease>;
  /** Does `work` when the waiter has looked so many times. */
  readonly afterLooks: (looks: number, work: () => Promise<unknown>) => void;
}

async function waiting(): Promise<Wait> {
  const scene = new HeadScene();
  await scene.take({ change: { ttlMs: TTL_MS } });
  const held = (await readHead(scene.client)) as StoredHead;
  const { client, clock, log } = scene;
  const due = new Map<number, () => Promise<unknown>>();
  let looks = 0;
  let isDisturbing = false;
  const get = scene.memory.get.bind(scene.memory);
  scene.memory.get = async (key, options) => {
    const answer = await get(key, options);
    if (isDisturbing) return answer;
    looks += 1;
    isDisturbing = true;
    await due.get(looks)?.();
    isDisturbing = false;
    return answer;
  };
  return {
    scene,
    held,
    wait: (options = {}) => waitForLease({ client, clock, log, ...options }, held),
    afterLooks: (count, work) => due.set(count, work),
  };
}

/** The holder renews: another document, the same session. */
const renew = (scene: HeadScene): Promise<unknown> => scene.overwrite({ renewedAt: scene.clock.now() });

test.each([false, true])('a head that stands still is due after its whole ttl (standby: %s)', async (standby) => {
  const { scene, held, wait } = await waiting();
  expect(await wait({ standby })).toBe(held.version);
  expect(scene.clock.monotonic()).toBe(TTL_MS);
  expect(scene.said('info')).toHaveLength(1);
  const { get } = scene.memory.store.requests;
  expect(get).toBeLessThanOrEqual(1 + 6);
});

test("the holder's clock is not believed", async () => {
  const { scene, wait } = await waiting();
  scene.clock.setForth(10 * TTL_MS);
  await wait();
  expect(scene.clock.monotonic()).toBe(TTL_MS);
});

test('a holder that renews keeps it; on standby that is waited for, quietly, and each renewal counts anew', async () => {
  const first = await waiting();
  first.afterLooks(2, () => renew(first.scene));
  await expect(first.wait()).rejects.toThrow(LeaseHeldError);

  const { scene, wait, afterLooks } = await waiting();
  const renewals = 20;
  for (let look = 1; look <= 2 * renewals; look += 2) afterLooks(look, () => renew(scene));
  const due = await wait({ standby: true });
  expect(due).toBe((await readHead(scene.client))?.version);
  // Two looks between renewals, each a quarter of the ttl; seen at the next look, and then a whole ttl.
  expect(scene.clock.monotonic()).toBe(2 * renewals * (TTL_MS / 4) + TTL_MS);
  expect(scene.said('info')).toHaveLength(1);
  expect(scene.said('warn')).toEqual([]);
});

test.each([false, true])('a release or a removal is seen at once (standby: %s)', async (standby) => {
  for (const change of ['released', 'removed', 'other-owner'] as const) {
    const { scene, wait, afterLooks } = await waiting();
    afterLooks(1, () =>
      change === 'removed'
        ? scene.memory.delete(['head.json'])
        : scene.overwrite(change === 'released' ? { released: true } : { owner: 'another' }),
    );
    expect(await wait({ standby }), change).toBeNull();
    expect(scene.clock.monotonic()).toBeLessThan(TTL_MS);
  }
});

test('on standby a third process that took it is waited for, and named', async () => {
  const { scene, wait, afterLooks } = await waiting();
  afterLooks(1, () => scene.overwrite({ session: 'c', generation: scene.generationNamed(2) }));
  afterLooks(3, () => scene.overwrite({ released: true }));
  expect(await wait({ standby: true })).toBeNull();
  expect(scene.said('info')).toEqual([expect.stringMatching(/on standby/), expect.stringMatching(/changed hands/)]);
});

test.each([false, true])('whoever is told to end stops waiting (standby: %s)', async (standby) => {
  const { wait, afterLooks } = await waiting();
  const draining = new AbortController();
  afterLooks(1, async () => draining.abort());
  await expect(wait({ standby, draining: draining.signal })).rejects.toThrow(/told to end/);
});

test.each([false, true])('a holder that dies meanwhile is not waited for (standby: %s)', async (standby) => {
  const { scene, wait } = await waiting();
  let looks = 0;
  const isProvenDead = async (): Promise<boolean> => {
    looks += 1;
    return looks === 3;
  };
  expect(await wait({ standby, isProvenDead })).toBeNull();
  expect(scene.clock.monotonic()).toBe((3 * TTL_MS) / (standby ? 4 : 6));
});

describe('a holder that is seen to run on this machine', () => {
  /** Who a process of ours is, as it would write it itself. */
  async function identityOf(pid: number): Promise<ProcessIdentity> {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
    return { ...(await readProcessIdentity()), pid, startTime };
  }

  test('is not replaced by a single pass, which ends at once; a service waits for its whole ttl', async () => {
    const holder = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1e6)'], { stdio: 'ignore' });
    try {
      const { scene, wait, held } = await waiting();
      const identity = await identityOf(holder.pid ?? 0);
      const writer = { process: await readProcessIdentity() };
      const { document } = held;
      const alive = { ...held, document: { ...document, process: identity } };
      const { client, clock, log } = scene;
      const error = await waitForLease({ client, clock, log, writer, once: true }, alive).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(LeaseHeldError);
      expect(error).toMatchObject({ hint: expect.stringContaining('stop it first') as string });
      expect(scene.clock.monotonic()).toBe(0);
      expect(await waitForLease({ client, clock, log, writer }, alive)).toBe(held.version);
      expect(scene.said('info')).toEqual([expect.stringContaining('runs on this machine')]);
      expect(await wait({ once: true, writer })).toBe(held.version);
    } finally {
      holder.kill('SIGKILL');
    }
  });
});
