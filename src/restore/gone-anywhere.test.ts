/**
 * Invariant: an object that is gone is done without, whatever the store's own error calls it: under a prefix, where the
 * store knows it by a longer name; in a store whose errors name no key; and where it goes in the middle of its body.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { crc32cValue } from '../core/types.ts';
import { ObjectNotFoundError, type ReplicaClient, type StoredObject } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { fetchParts } from './fetch-parts.ts';
import type { PointRequest } from './point-request.ts';

let scene: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
});
afterEach(() => scene[Symbol.asyncDispose]());

type Loss = (key: string) => Promise<StoredObject>;

const LOSSES: Readonly<Record<string, Loss>> = {
  'an error that names the whole key': async (key) => {
    throw new ObjectNotFoundError(`${key} is not there`, { facts: { key } });
  },
  'an error that names no key': async (key) => {
    throw new ObjectNotFoundError(`get ${key}: the store answered 404 NoSuchKey`, { facts: { status: 404 } });
  },
  'an error within the body': async (key) => {
    const stored = await scene.client.get(key);
    return { ...stored, body: failing(stored.body) };
  },
};

async function* failing(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  for await (const bytes of body) {
    yield bytes.subarray(0, 10);
    throw new ObjectNotFoundError('get: the store answered 404 NoSuchKey', { facts: { status: 404 } });
  }
}

const POINTS: readonly (PointRequest | undefined)[] = [
  undefined,
  { kind: 'tx', tx: 35n as never },
  { kind: 'timestamp', time: 4_000_000_000_000_000n as never },
];

test.each(Object.keys(LOSSES))('%s', async (name) => {
  const loss = LOSSES[name] as Loss;
  const prefix = 'replicas/7/';
  const replicaDir = vectorDirectory('v2-small');
  const inner = prefixedClient(scene.client, prefix);
  const { builder, commits, generation } = await buildSimpleStore({ client: inner, replicaDir, snapshots: [] });
  await builder.putLog(generation, { commits, commitsPerObject: 1000, level: 1, prev: crc32cValue(0) });
  const lost: ReplicaClient = scene.spying((key, options) =>
    key.includes('/log/1/') ? loss(key) : scene.client.get(key, options),
  );
  for (const point of POINTS) {
    const { warnings, position } = await scene.run({ client: prefixedClient(lost, prefix), point });
    expect(warnings.length).toBeGreaterThan(0);
    const end = point?.kind === 'tx' ? point.tx : commits.at(-1)?.last;
    expect(position?.tx).toBe(end);
    await scene.expectLog(commits.filter(({ last }) => last <= (end ?? 0n)));
    await scene.clear();
  }
  expect(typeof fetchParts).toBe('function');
});
