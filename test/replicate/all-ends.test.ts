// Invariant: a log is gone on with only where every end of a commit that the start gets to know of agrees, not the last one
// alone; and that costs no request.
import { rename } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { readBody } from '../../src/replica/replica-client.ts';
import { ModelScene } from '../support/model-scene.ts';

/** Segments at 0 and 10; the generation that holds the second one has its parent point at the end of the first. */
async function twoGenerations(): Promise<ModelScene> {
  const model = await ModelScene.open();
  await model.database.append(10);
  await model.scene.runOnce();
  await model.scene.killHolder();
  await model.database.append(10, { rotate: true });
  await model.scene.runOnce();
  expect((await model.scene.generation()).parent?.position.tx).toBe(9n);
  return model;
}

/** Another database's first ten commits take the place of this one's. */
async function replaceFirstSegment(model: ModelScene): Promise<void> {
  await using other = await ModelScene.open({ seed: 99 });
  await other.database.append(10);
  await rename(other.database.segmentPath(0n), model.database.segmentPath(0n));
}

test('whole: gone on with, for four requests', async () => {
  await using model = await twoGenerations();
  const { generation } = await model.scene.generation();
  const { requests } = model.scene.client.store;
  const before = { ...requests };
  await model.scene.runOnce();
  expect((await model.scene.head()).generation).toBe(generation);
  const spent = Object.entries(requests).map(([verb, count]) => count - before[verb as keyof typeof before]);
  // The fifth is the release; reading the head is the test's.
  expect(spent.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(6);
});

test('another commit stands at the parent point', async () => {
  await using model = await twoGenerations();
  await replaceFirstSegment(model);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({ reason: 'rolled-back', parent: null });
  await model.expectLineIsLocal();
});

test('another commit stands where an object of a higher level ends', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.database.append(10, { rotate: true });
  await model.scene.runOnce();
  const { client } = model.scene;
  const [key = ''] = (await model.scene.keys('generations/')).filter((name) => name.includes('/log/0/'));
  await client.put(key.replace('/log/0/', '/log/1/'), [await readBody(await client.get(key), 2 ** 20)]);
  const { generation } = await model.scene.generation();
  await model.scene.runOnce();
  expect((await model.scene.head()).generation).toBe(generation);
  await replaceFirstSegment(model);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({ reason: 'rolled-back', parent: null });
});
