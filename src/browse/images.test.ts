/** Invariant: every image that is stored is shown, of the head's line or not, whole or not. */
import { expect, test } from 'vitest';
import { type ImageSample, ServerStoreBuilder } from '../../test/support/server-store-builder.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { silentLog } from '../core/log.ts';
import { SERVER_PREFIX } from '../layout/server-keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { readServerStore } from '../restore/server/read-server-store.ts';
import { describeImageGenerations } from './image-generations.ts';
import { describeImages } from './images.ts';

const sample = (time: bigint, replicas: readonly bigint[]): ImageSample => ({
  time,
  files: { 'metadata.toml': { content: 'a' }, 'config.toml': { content: 'b' } },
  replicas,
});

test('two generations, an image that was left behind, and a damaged one', async () => {
  const root = new MemoryReplicaClient();
  const builder = new ServerStoreBuilder(root);
  const first = await builder.putGeneration(1);
  const parent = await builder.putImage(first, sample(10n, [1n]));
  await builder.putImage(first, sample(30n, [1n]));
  const second = await builder.putGeneration(2, parent);
  const damaged = await builder.putImage(second, sample(20n, [1n]));
  await builder.putImage(second, sample(40n, [1n, 2n]));
  await builder.putHead(second);
  await root.put(damaged.manifestKey, Buffer.from('{}'));

  const client = prefixedClient(root, SERVER_PREFIX);
  const fetch = { client, budget: new ByteBudget(16 << 20), parallelism: 2, signal: AbortSignal.timeout(20_000) };
  const view = await readServerStore({ ...fetch, log: silentLog });
  const rows = await describeImages(view, fetch);
  expect(rows.map(({ time, onHeadLine, state }) => [time, onHeadLine, state])).toEqual([
    [10n, true, 'usable'],
    [20n, true, 'damaged'],
    [30n, false, 'usable'],
    [40n, true, 'usable'],
  ]);
  expect(rows.map(({ replicas }) => replicas?.map(({ replicaId }) => replicaId) ?? null)).toEqual([
    [1n],
    null,
    [1n],
    [1n, 2n],
  ]);
  expect(rows[3]?.files).toBe(2);
  expect(rows[3]?.bytes).toBeGreaterThan(0);
  expect(describeImageGenerations(view).map(({ place, images, newest }) => [place, images, newest])).toEqual([
    ['line', 2, 30n],
    ['head', 2, 40n],
  ]);
});
