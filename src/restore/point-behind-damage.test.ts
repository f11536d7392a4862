/**
 * Invariant: a point that may lie in an object that is damaged or gone is never answered with an earlier one, also where
 * the head's position, which lags behind what is stored, does not tell of that object.
 */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildPointStore, type ModelCommit } from '../../test/support/point-stores.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { CorruptionError } from '../core/errors.ts';
import { micros } from '../core/types.ts';
import { parseKey } from '../layout/keys.ts';
import { ObjectNotFoundError, type ReplicaClient } from '../replica/replica-client.ts';
import type { PointRequest } from './point-request.ts';

/** Stores whose last generation has commits of its own in several objects. */
const SEEDS = [3, 4, 5, 6];

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

interface LaggingStore {
  readonly line: readonly ModelCommit[];
  /** Objects that hold the line's last commit. */
  readonly lastKeys: readonly string[];
  /** The last transaction before them. */
  readonly whole: bigint;
}

/** The head tells of the commits before the last object alone. */
async function build(seed: number): Promise<LaggingStore> {
  const scratch = join(scene.root, '..', `${seed}-never-made`);
  const { builder, generations, lines } = await buildPointStore({
    client: scene.client,
    scratch,
    seed,
    snapshots: false,
  });
  const line = lines.at(-1) ?? [];
  const end = line.at(-1)?.last ?? 0n;
  const objects = scene.client.store.keys().flatMap((key) => {
    const parsed = parseKey(key);
    return parsed?.kind === 'log' && parsed.name.generation === generations.at(-1) && parsed.name.last === end
      ? [{ key, first: parsed.name.first }]
      : [];
  });
  const first = objects.reduce((least, one) => (one.first < least ? one.first : least), end);
  const before = line.findLast(({ last }) => last < first) ?? null;
  await builder.putHead(generations.at(-1) as never, before);
  return { line, lastKeys: objects.map(({ key }) => key), whole: before?.last ?? -1n };
}

const goneFrom = (keys: readonly string[]): ReplicaClient =>
  scene.spying(async (key, options) => {
    if (keys.includes(key)) throw new ObjectNotFoundError(`${key} is not there`, { facts: { key } });
    return await scene.client.get(key, options);
  });

async function refused(point: PointRequest, client: ReplicaClient = scene.client): Promise<CorruptionError> {
  const outcome = await scene.run({ point, client }).then(
    ({ position }) => new Error(`ended at ${position?.tx}`),
    (error: unknown) => error,
  );
  if (!(outcome instanceof CorruptionError)) throw outcome;
  await scene.expectNothing();
  return outcome;
}

describe.each(SEEDS)('the last object of store %i', (seed) => {
  test('a time behind it is not that of the object before', async () => {
    const { line, lastKeys, whole } = await build(seed);
    for (const key of lastKeys) scene.flip(key, 30);
    const { time: end = 0n, last = 0n } = line.at(-1) ?? {};
    for (const time of [end, end + 1n, end + 1_000_000n]) {
      const { facts } = await refused({ kind: 'timestamp', time: micros(time) });
      // Shorter objects may lead further than to where the longest of the damaged ones begins.
      const nearest = facts['nearestBefore'];
      if (whole >= 0n) expect(typeof nearest === 'bigint' && nearest >= whole && nearest < last).toBe(true);
    }
  });

  test('the newest call of a reducer may be in it', async () => {
    const { line, lastKeys } = await build(seed);
    for (const key of lastKeys) scene.flip(key, 30);
    const reducer = line.findLast((commit) => commit.reducer !== null)?.reducer ?? '';
    await refused({ kind: 'before-reducer', reducer });
  });

  test('one that is listed and cannot be read is missing as well', async () => {
    const { line, lastKeys } = await build(seed);
    await refused({ kind: 'timestamp', time: micros((line.at(-1)?.time ?? 0n) + 1n) }, goneFrom(lastKeys));
  });

  test('damage behind a time that is proven to be earlier is no matter', async () => {
    const { line, lastKeys, whole } = await build(seed);
    for (const key of lastKeys) scene.flip(key, 30);
    const at = line.findLastIndex((commit) => commit.last <= whole);
    const wanted = line.slice(0, at).findLast((commit) => commit.time < (line[at]?.time ?? 0n));
    if (wanted === undefined || wanted.time === 0n) return;
    const { position } = await scene.run({ point: { kind: 'timestamp', time: wanted.time } });
    expect(position).toEqual({ tx: wanted.last, crc: wanted.crc, time: wanted.time });
  });
});
