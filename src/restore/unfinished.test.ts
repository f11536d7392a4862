/**
 * Invariant: a restore that is told to stop, or whose store goes away, wherever that is, leaves its work as it says or
 * nothing at all, and the next one ends with exactly what an uninterrupted one gives. Any other failure leaves nothing.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { contentOf, stagingsOf } from '../../test/support/killed-restore.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { CorruptionError } from '../core/errors.ts';
import { UnauthorizedError, UnavailableError } from '../replica/replica-client.ts';
import type { RestoreReport } from './restore.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';
import { fileBytesBelow, isResumable, type UnfinishedRestore } from './unfinished.ts';

const STEPS_MAX = 60;

let scene: RestoreScene;
let expected: Map<string, string>;
beforeEach(async () => {
  scene = await RestoreScene.open();
  await buildSimpleStore({ client: scene.client, replicaDir: vectorDirectory('v2-small') });
  await scene.run();
  expected = await contentOf(scene.target);
  await scene.clear();
});
afterEach(() => scene[Symbol.asyncDispose]());

/** A target that is filled in place. */
const inside: TargetSystem = { ...realTargetSystem, isMountPoint: async (path) => basename(path) === 'target' };

interface Ended {
  readonly error: unknown;
  readonly left: UnfinishedRestore | null;
}

/** Runs until the request with that number, which does what `fail` does. */
async function runUntil(
  at: number,
  fail: (stop: AbortController) => void,
  { system = realTargetSystem, tells = true }: { system?: TargetSystem; tells?: boolean } = {},
): Promise<Ended | RestoreReport> {
  const stop = new AbortController();
  let asked = 0;
  let left: UnfinishedRestore | null = null;
  const client = scene.spying(async (key, options) => {
    asked += 1;
    if (asked >= at) fail(stop);
    stop.signal.throwIfAborted();
    return await scene.client.get(key, options);
  });
  const onUnfinished = (kept: UnfinishedRestore): void => void (left = kept);
  const options = { client, signal: stop.signal, system, parallelism: 1, ...(tells ? { onUnfinished } : {}) };
  return await scene.run(options).catch((error: unknown) => ({ error, left }));
}

const FAILURES: readonly (readonly [string, (stop: AbortController) => void])[] = [
  ['a signal', (stop) => stop.abort(new Error('stopped'))],
  [
    'a store that is away',
    () => {
      throw new UnavailableError('the store is away');
    },
  ],
  [
    'an expired token',
    () => {
      throw new UnauthorizedError('expired');
    },
  ],
];

describe.each([
  ['beside', realTargetSystem],
  ['inside', inside],
] as const)('staged %s the target', (_, system) => {
  test.each(FAILURES)('%s', async (name, fail) => {
    let kept = 0;
    for (let at = 2; at < STEPS_MAX; at += 3) {
      await mkdir(scene.target, { recursive: true });
      const ended = await runUntil(at, fail, { system });
      if (!('error' in ended)) break;
      const stagings = await stagingsOf(scene);
      expect(stagings).toEqual(ended.left === null ? [] : [ended.left.path]);
      if (ended.left !== null) expect(ended.left.bytes).toBe(await fileBytesBelow(`${ended.left.path}/content`));
      const { reusedBytes } = await scene.run({ system });
      kept = Math.max(kept, reusedBytes);
      expect(await contentOf(scene.target), `${name} at ${at}`).toEqual(expected);
      expect(await readdir(scene.root)).toEqual(['target']);
      await scene.clear();
    }
    expect(kept).toBeGreaterThan(10_000);
  });
});

test('stopped again and again, it loses nothing of what it had', async () => {
  let before = 0;
  for (const at of [9, 6, 7, 8]) {
    const ended = await runUntil(at, (stop) => stop.abort(new Error('stopped')));
    if (!('error' in ended)) throw new Error('it was to be stopped');
    const [staging = ''] = await stagingsOf(scene);
    const bytes = await fileBytesBelow(`${staging}/content`);
    expect(bytes).toBeGreaterThanOrEqual(before);
    before = bytes;
  }
  expect((await scene.run()).reusedBytes).toBeGreaterThan(0);
  expect(await contentOf(scene.target)).toEqual(expected);
});

test('nobody is told: nothing is left', async () => {
  for (const at of [2, 6, 12]) {
    await runUntil(at, (stop) => stop.abort(new Error('stopped')), { tells: false });
    expect(await readdir(scene.root)).toEqual([]);
  }
});

test('what is damaged leaves nothing', async () => {
  for (const key of scene.client.store
    .keys()
    .filter((one) => one.includes('/log/'))
    .slice(2)) {
    scene.client.store.set(key, new Uint8Array(scene.bytesOf(key).byteLength));
  }
  const ended = await runUntil(STEPS_MAX * 10, () => undefined);
  expect(ended).toMatchObject({ left: null });
  expect(await readdir(scene.root)).toEqual([]);
});

test('what is worth to go on with', () => {
  const { signal } = new AbortController();
  expect(isResumable(new CorruptionError('bad'), signal)).toBe(false);
  expect(isResumable(new UnavailableError('away'), signal)).toBe(true);
  const suppressed = new SuppressedError(new Error('the clean-up'), new UnavailableError('away'), 'both');
  expect(isResumable(suppressed, signal)).toBe(true);
  expect(isResumable(new CorruptionError('bad'), AbortSignal.abort())).toBe(true);
});
