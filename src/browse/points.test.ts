/** Invariant: what is missing or damaged in a store is shown as that, beside everything else, and never hides it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BrowseScene, buildBrowseScene } from '../../test/support/browse-scene.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { NoBackupError, UsageError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { txOffset } from '../core/types.ts';
import { generationKey, HEAD_KEY, manifestKey, PACKS_PREFIX } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { readStore } from '../restore/read-store.ts';
import { describeGenerations } from './generations.ts';
import { describePoints, type PointsView } from './points.ts';
import { describeSnapshots } from './snapshots.ts';

let directory: TemporaryDirectory;
let client: MemoryReplicaClient;
let scene: BrowseScene;
beforeEach(async () => {
  directory = await temporaryDirectory();
  client = new MemoryReplicaClient();
  scene = await buildBrowseScene(client, { scratch: directory.at('made') });
});
afterEach(() => directory[Symbol.asyncDispose]());

const fetchAll = () => ({
  client,
  budget: new ByteBudget(16 << 20),
  parallelism: 4,
  signal: AbortSignal.timeout(20_000),
});
const view = () => readStore({ ...fetchAll(), log: silentLog });

async function points(generation?: string): Promise<PointsView> {
  return await describePoints(await view(), { fetch: fetchAll(), generation });
}

const shown = ({ ranges, gaps }: PointsView): string[] => [
  ...ranges.map(({ first, to, snapshot }) => `${first}-${to.tx} ${snapshot ?? 'log'}`),
  ...gaps.map(({ after, before, until }) => `gap ${after?.tx ?? ''}..${before ?? until?.tx ?? ''}`),
];

const snapshots = async (): Promise<string[]> =>
  (await describeSnapshots(await view(), fetchAll())).map(
    ({ tx, state, onHeadLine }) => `${tx} ${state} ${onHeadLine}`,
  );

async function dropLog(first: number, last: number): Promise<void> {
  const { listing } = await view();
  const keys = [...listing.logObjects.values()].flat().filter((one) => one.first >= first && one.last <= last);
  expect(keys.length).toBeGreaterThan(0);
  await client.delete(keys.map(({ key }) => key));
}

const third = 2;

test('as it was built', async () => {
  expect(shown(await points())).toEqual(['0-229 log', '244-249 244', 'gap 229..244']);
  expect(await snapshots()).toEqual(['60 usable true', '244 usable true', '280 usable false']);
});

test('a damaged manifest: the range behind the hole is gone, and that the head says more is a gap', async () => {
  const key = manifestKey(scene.generations[third], txOffset(244n));
  await client.put(key, Buffer.alloc((await client.head(key)).size, 7));
  const found = await points();
  expect(shown(found)).toEqual(['0-229 log', 'gap 229..249']);
  expect([...found.unusable.keys()]).toEqual([key]);
  expect(await snapshots()).toEqual(['60 usable true', '244 damaged true', '280 usable false']);
});

test('packs that are gone: a snapshot’s own commit cannot be read, and no range begins with it', async () => {
  const keys: string[] = [];
  for await (const { key } of client.list(PACKS_PREFIX)) keys.push(key);
  await client.delete(keys);
  expect(shown(await points())).toEqual(['0-229 log', 'gap 229..249']);
});

test('a log whose beginning is gone begins with a snapshot', async () => {
  await dropLog(0, 99);
  const found = await points();
  expect(shown(found).slice(0, 2)).toEqual(['60-60 60', '244-249 244']);
  expect(found.gaps[0]).toMatchObject({ after: null, before: 60n });
});

test('a generation document that is missing or damaged is said at its row; the others are shown', async () => {
  await client.put(generationKey(scene.generations[0]), Buffer.from('{'));
  await client.delete([generationKey(scene.generations[1])]);
  const rows = describeGenerations(await view());
  expect(rows.map(({ place }) => place)).toEqual(['other', 'other', 'head']);
  expect(rows[0]?.problem).not.toBeNull();
  expect(rows[1]?.problem).toBe('its generation.json is missing');
  expect(rows[2]?.problem).toContain('is missing or damaged');
  expect(rows.map(({ last }) => last?.tx)).toEqual([299n, 199n, 229n]);
});

test('without a head the newest generation is looked at; an unknown one and an empty store are errors', async () => {
  await client.delete([HEAD_KEY]);
  expect((await points()).generation).toBe(scene.generations[third]);
  await expect(points('7')).rejects.toThrow(UsageError);
  client = new MemoryReplicaClient();
  await expect(points()).rejects.toThrow(NoBackupError);
});
