// Invariant: a generation branches where the local log and a stored line are proven to agree, never behind what cannot
// be proven, whatever the store holds.
import { expect, test } from 'vitest';
import { ModelScene } from '../../test/support/model-scene.ts';
import { diskFiles } from '../core/readable-files.ts';
import { silentLog } from '../core/log.ts';
import { findCommonPoint } from './find-common-point.ts';

const search = (model: ModelScene, preferred: Parameters<typeof findCommonPoint>[0]['preferred'] = null) =>
  findCommonPoint({
    client: model.scene.client,
    source: { files: diskFiles, directory: model.scene.at('clog') },
    log: silentLog,
    preferred,
  });

test('an empty store has none', async () => {
  await using model = await ModelScene.open();
  await model.database.append(3);
  expect(await search(model)).toEqual({ point: null, lastNumber: 0 });
});

test('any commit, by name at the end of an object and by its bytes inside it', async () => {
  await using model = await ModelScene.open();
  await model.database.append(6, { count: 2 });
  await model.scene.runOnce();
  await model.database.append(6, { count: 2 });
  await model.scene.runOnce();
  for (let tx = 23n; tx >= 1n; tx -= 2n) {
    await model.database.cutBack(tx);
    const { point } = await search(model);
    const log = await model.database.log();
    expect(point?.position).toEqual({ tx, crc: log.at(-1)?.crc });
    expect(point?.time).toBe(log.at(-1)?.time);
    expect(point?.tail).toMatchObject({ nextTx: tx + 1n });
  }
});

test('a damaged object proves what stands before its damage, a missing one and a missing document nothing', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.scene.runOnce();
  await model.database.append(3_000);
  await model.scene.runOnce();
  const { store } = model.scene.client;
  const key = (await model.scene.keys('generations/')).find((name) => name.includes('10-00000000000000003009.')) ?? '';
  const whole = Uint8Array.from(store.objects.get(key)?.bytes ?? []);
  await model.database.cutBack(2_900n);
  expect((await search(model)).point?.position.tx).toBe(2_900n);
  const bad = Uint8Array.from(whole);
  const middle = Math.floor(whole.byteLength * 0.9);
  bad[middle] = (bad[middle] ?? 0) ^ 0xff;
  store.set(key, bad);
  const proven = (await search(model)).point?.position.tx ?? 0n;
  expect(proven).toBeGreaterThanOrEqual(9n);
  expect(proven).toBeLessThan(2_900n);
  await model.scene.client.delete([key]);
  expect((await search(model)).point?.position.tx).toBe(9n);
  const documents = (await model.scene.keys('generations/')).filter((name) => name.endsWith('generation.json'));
  await model.scene.client.delete(documents);
  expect(await search(model)).toEqual({ point: null, lastNumber: 1 });
});

test('a log that begins right behind what is stored has nothing in common that could be proven', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.scene.runOnce();
  await model.database.append(10, { rotate: true });
  await model.database.prune(10n);
  expect((await search(model)).point).toBeNull();
});

test('the furthest line wins, whichever the head names', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.scene.runOnce();
  const old = (await model.scene.generation()).generation;
  await model.database.cutBack(4n);
  await model.database.append(1);
  await model.scene.runOnce();
  const head = (await model.scene.generation()).generation;
  const { directory } = await model.restore({ generation: old });
  await model.database.replaceBy(directory, { snapshots: [] });
  expect((await search(model, head)).point).toMatchObject({ generation: old, position: { tx: 9n } });
  await model.database.cutBack(3n);
  // Both lines hold it: it lies in the object of the first.
  expect((await search(model, head)).point).toMatchObject({ generation: old, position: { tx: 3n } });
});
