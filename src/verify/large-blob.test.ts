/**
 * Invariant: a check reads every byte whatever it is of, within its budget; what the budget does not hold is named, never
 * taken for whole, and hides nothing else.
 */
import { expect, test } from 'vitest';
import { buildBlobStore } from '../../test/support/blob-store.ts';
import { readRecordedLog } from '../../test/support/recorded-log.ts';
import { damageOf, VerifyScene } from '../../test/support/verify-scene.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { blake3Hex } from '../core/checksum.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { WHOLE } from './sample.ts';
import { PackMemory } from './pack-memory.ts';
import { uncheckedFinding } from './unchecked.ts';
import type { VerifiedStore } from './verify-store.ts';

const MIB = 1024 * 1024;
const BUDGET = 8 * MIB;
const LARGE = 20 * MIB;

/** Does not compress, and is another one for each seed. */
function blobOf(bytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(bytes / 4);
  let state = seed;
  for (let index = 0; index < words.length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[index] = state ^ (state >>> 15);
  }
  return new Uint8Array(words.buffer);
}

const commits = (await readRecordedLog(vectorDirectory('v2-small'))).slice(0, 5);

/** Budgets tell what was held of them. */
class WatchedBudget extends ByteBudget {
  heldMost = 0;

  override async take(...args: Parameters<ByteBudget['take']>): ReturnType<ByteBudget['take']> {
    const share = await super.take(...args);
    this.heldMost = Math.max(this.heldMost, this.held);
    return share;
  }
}

function check(scene: VerifyScene, budget = new ByteBudget(BUDGET)): Promise<VerifiedStore> {
  const { client } = scene;
  return scene.deep({ fetch: { client, budget, parallelism: 4, signal: new AbortController().signal }, deep: WHOLE });
}

test('blobs far above the budget are read and proven, several packs at once', async () => {
  const scene = new VerifyScene();
  const blobs = [blobOf(LARGE, 1), blobOf(LARGE, 2), blobOf(3 * MIB, 3), blobOf(1000, 4), blobOf(LARGE, 5)];
  await buildBlobStore({ client: scene.client, commits, blobs });
  const budget = new WatchedBudget(BUDGET);
  expect((await check(scene, budget)).findings).toEqual([]);
  expect([budget.heldMost <= BUDGET, budget.held]).toEqual([true, 0]);
});

test('a blob that is another one than its name says is found, in a pack that is what it says', async () => {
  const scene = new VerifyScene();
  const blobs = [blobOf(LARGE, 1), blobOf(1000, 4)];
  const hashOf = (blob: Uint8Array): string => blake3Hex(blob.byteLength === LARGE ? Buffer.from('other') : blob);
  const { packs } = await buildBlobStore({ client: scene.client, commits, blobs, hashOf });
  expect(damageOf(await check(scene))).toMatchObject([{ kind: 'altered', key: packs[0] }]);
});

test('a flipped byte in a large blob is found', async () => {
  const scene = new VerifyScene();
  const { packs } = await buildBlobStore({ client: scene.client, commits, blobs: [blobOf(LARGE, 1)] });
  scene.flip(packs[0] ?? '');
  expect(damageOf(await check(scene))).toMatchObject([{ kind: 'altered', key: packs[0] }]);
});

test('a window that the budget does not hold: said, with the memory that it needs; the others are checked', async () => {
  const scene = new VerifyScene();
  // At this level a window of 8 MiB is asked for.
  const blobs = [Buffer.alloc(LARGE, 'a row of a table, and another one. '), blobOf(1000, 4)];
  const { packs } = await buildBlobStore({ client: scene.client, commits, blobs, level: 19 });
  const [finding, ...others] = damageOf(await check(scene));
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ kind: 'unchecked', key: packs[0] });
  const needed = new PackMemory(new ByteBudget(BUDGET)).budgetFor(8 * MIB);
  expect(finding?.message).toContain(uncheckedFinding('', '', needed).message.split(' ').at(-1));
  expect(damageOf(await check(scene, new ByteBudget(needed)))).toEqual([]);
  scene.flip(packs[1] ?? '');
  expect(damageOf(await check(scene)).map(({ kind }) => kind)).toEqual(['unchecked', 'altered']);
});

test('a snapshot file that the budget does not hold does not end the check', async () => {
  const scene = new VerifyScene();
  const blobs = Array.from({ length: 20 }, (_, index) => Buffer.from(`blob ${index}`));
  const { packs } = await buildBlobStore({ client: scene.client, commits, blobs });
  // All of it is kept free for the manifest.
  const [finding, ...others] = damageOf(await check(scene, new ByteBudget(MIB)));
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ kind: 'unchecked', key: packs.at(-1) });
});
