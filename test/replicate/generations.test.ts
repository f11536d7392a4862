// Invariant: whatever happened to the log while nobody looked, one start finds the row of the table that applies; then
// the default line is exactly the local log, and the line before stays as it was.
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { commitNames, ModelScene } from '../support/model-scene.ts';

async function stored(model: ModelScene): Promise<{ generation: string; before: string[] }> {
  await model.scene.runOnce();
  const { generation } = await model.scene.generation();
  return { generation, before: commitNames((await model.expectLineIsLocal()).log) };
}

async function expectKept(model: ModelScene, { generation, before }: Awaited<ReturnType<typeof stored>>) {
  expect(commitNames((await model.restore({ generation })).log)).toEqual(before);
}

test('continue: nothing changed, and growth', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const first = await stored(model);
  await model.database.append(5, { rotate: true });
  await model.database.compress();
  await model.scene.runOnce();
  expect((await model.scene.generation()).generation).toBe(first.generation);
  await model.expectLineIsLocal();
});

test.each([
  ['at the end of an object', 20, 19n],
  ['inside an object', 20, 11n],
  ['inside a commit of several transactions, to the one before', 20, 12n, 3],
])('rolled-back: cut back %s, and grown again', async (_, commits, tx, count = 1) => {
  await using model = await ModelScene.open();
  await model.database.append(commits, { count });
  await model.scene.runOnce();
  await model.database.append(10);
  const old = await stored(model);
  await model.database.cutBack(tx);
  const point = await model.database.lastTx();
  await model.database.append(30);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({
    reason: 'rolled-back',
    parent: { generation: old.generation, position: { tx: point } },
  });
  await model.expectLineIsLocal();
  await expectKept(model, old);
});

test('rolled-back: only shorter, and the next start goes on', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const old = await stored(model);
  await model.database.cutBack(7n);
  const { generation } = await stored(model);
  await expectKept(model, old);
  await model.database.append(1);
  await model.scene.runOnce();
  expect((await model.scene.generation()).generation).toBe(generation);
  await model.expectLineIsLocal();
});

test('rolled-back to nothing in common: a log made anew from 0 without a snapshot', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const old = await stored(model);
  await model.database.remove();
  await model.database.append(25);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({ reason: 'rolled-back', parent: null });
  await model.expectLineIsLocal();
  await expectKept(model, old);
});

test('replaced: another database with a snapshot of its own', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.database.snapshot();
  const old = await stored(model);
  await model.database.remove();
  model.database.identity = 'b'.repeat(64);
  await model.database.append(25);
  await model.database.snapshot();
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({
    reason: 'replaced',
    parent: null,
    databaseIdentity: 'b'.repeat(64),
  });
  expect((await model.expectLineIsLocal()).snapshot).toBe(24n);
  await expectKept(model, old);
});

test('gap: commits were pruned before they were stored', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const old = await stored(model);
  await model.database.append(10, { rotate: true });
  await model.database.append(10, { rotate: true });
  await model.database.snapshot(35n);
  await model.database.prune(35n);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({ reason: 'gap', parent: null });
  expect((await model.expectLineIsLocal()).snapshot).toBe(35n);
  await expectKept(model, old);
});

test('gap, first above 0, and what has no base: nothing is begun, and one pass says why', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.database.append(10, { rotate: true });
  await model.database.prune(25n);
  await expect(model.scene.runOnce()).rejects.toMatchObject({ code: 'SOURCE_DIVERGED', exitCode: 1 });
  expect(await model.scene.keys()).toEqual([]);
  await model.database.snapshot(25n);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({ reason: 'first', parent: null });
  expect((await model.expectLineIsLocal()).snapshot).toBe(25n);
});

test('damaged: a bad commit with a snapshot behind it; without one the pass is an error', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const old = await stored(model);
  await model.database.append(20);
  const whole = commitNames(await model.database.log());
  await model.database.spoil(25n);
  await expect(model.scene.runOnce()).rejects.toMatchObject({ code: 'CORRUPTION', exitCode: 14, facts: { tx: 25n } });
  expect((await model.scene.head()).released).toBe(true);
  await expect(model.scene.runOnce()).rejects.toMatchObject({ code: 'CORRUPTION' });
  expect((await model.scene.keys('generations/')).filter((key) => key.endsWith('generation.json'))).toHaveLength(1);
  await expectKept(model, { ...old, before: whole.slice(0, 25) });
});

test('damaged: begins at the own commit of the snapshot behind it, and goes on from there', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.scene.runOnce();
  await model.database.append(20);
  await model.database.snapshot(30n);
  const whole = commitNames(await model.database.log());
  await model.database.spoil(25n);
  const { generation } = await model.scene.generation();
  const one = await model.scene.runOnceFailing('CORRUPTION');
  expect(one.status()).toMatchObject({ generationReason: 'damaged', damage: { tx: 25n } });
  expect(await model.scene.generation()).toMatchObject({ reason: 'damaged', parent: null });
  const damaged = await model.restore();
  expect(damaged.snapshot).toBe(30n);
  expect(commitNames(damaged.log)).toEqual(whole.slice(30));
  expect(commitNames((await model.restore({ generation })).log)).toEqual(whole.slice(0, 25));
  const again = (await model.scene.generation()).generation;
  await model.scene.runOnce();
  expect((await model.scene.generation()).generation).toBe(again);
});

test('regression: one pass over an empty store keeps both sides of the damage, and its exit code names the hole', async () => {
  await using model = await ModelScene.open();
  await model.database.append(40);
  await model.database.snapshot(30n);
  const whole = commitNames(await model.database.log());
  await model.database.spoil(25n);
  const one = await model.scene.runOnceFailing('CORRUPTION');
  expect(one.status().generationsBegun).toEqual({ first: 1, damaged: 1 });
  const { log, snapshot } = await model.restore();
  expect({ snapshot, log: commitNames(log) }).toEqual({ snapshot: 30n, log: whole.slice(30) });
  expect(commitNames((await model.restore({ generation: '1' })).log)).toEqual(whole.slice(0, 25));
});

test('regression: the snapshot before the damage is stored too, without which a log above 0 is worth nothing', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.database.append(20, { rotate: true });
  await model.database.snapshot(30n);
  await model.database.prune(30n);
  const whole = commitNames(await model.database.log());
  await model.database.spoil(37n);
  await model.scene.runOnceFailing('CORRUPTION');
  const { log, snapshot } = await model.restore();
  expect(snapshot).toBe(30n);
  expect(commitNames(log)).toEqual(whole.slice(0, 17));
});

test('bad bytes in what is stored already are no matter', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const { generation, before } = await stored(model);
  await model.database.spoil(12n);
  await model.scene.runOnce();
  expect((await model.scene.generation()).generation).toBe(generation);
  expect(commitNames((await model.restore()).log)).toEqual(before);
});

test('a segment that is gone from the middle is damage', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.scene.runOnce();
  await model.database.append(10, { rotate: true });
  await model.database.append(10, { rotate: true });
  const log = await model.database.log();
  await model.database.snapshot(35n);
  await rm(model.database.segmentPath(20n));
  await model.scene.runOnceFailing('CORRUPTION');
  expect(await model.scene.generation()).toMatchObject({ reason: 'damaged', parent: null });
  const { snapshot, log: restored } = await model.restore();
  expect(snapshot).toBe(35n);
  expect(commitNames(restored)).toEqual(commitNames(log.slice(35)));
});

test('a torn tail with a successor that goes on right there is neither damage nor another history', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const { generation } = await stored(model);
  await model.database.append(3, { rotate: true });
  const segment = await readFile(model.database.segmentPath(20n));
  await appendFile(model.database.segmentPath(0n), Buffer.concat([Buffer.alloc(30, 7), segment.subarray(10, 40)]));
  await writeFile(model.database.segmentPath(20n), segment);
  await model.scene.runOnce();
  expect((await model.scene.generation()).generation).toBe(generation);
  const restored = await model.restore();
  expect(restored.log.at(-1)?.last).toBe(22n);
});

test('restored by us to its newest point, started again, and cut back again: each branch is exact', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.database.append(10, { rotate: true });
  await model.database.snapshot(14n);
  await model.database.append(10);
  const old = await stored(model);
  // Back to a point inside the one object of the second segment.
  await model.database.cutBack(22n);
  await model.database.append(5);
  const branch = await stored(model);
  expect(await model.scene.generation()).toMatchObject({
    parent: { generation: old.generation, position: { tx: 22n } },
  });
  // The abandoned line, restored over it: its log begins above 0.
  const { directory, snapshot } = await model.restore({ generation: old.generation });
  expect(snapshot).toBe(14n);
  await model.database.replaceBy(directory, { snapshots: [14n] });
  await model.database.append(7);
  await model.scene.runOnce();
  expect(await model.scene.generation()).toMatchObject({
    reason: 'rolled-back',
    parent: { generation: old.generation, position: { tx: 29n } },
  });
  await model.expectLineIsLocal();
  await expectKept(model, old);
  await expectKept(model, branch);
});

test('regression: a child that holds nothing but a snapshot gives it to the lines that branch from it', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.scene.runOnce();
  await model.scene.killHolder();
  await model.database.snapshot(12n);
  await model.scene.runOnce();
  await model.scene.killHolder();
  await model.scene.runOnce();
  expect((await model.expectLineIsLocal()).snapshot).toBe(12n);
});

test('a takeover of another owner’s backup has to be asked for, and branches where both agree', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  const old = await stored(model);
  await expect(model.scene.runOnce({ owner: 'game-1' })).rejects.toMatchObject({ exitCode: 11 });
  await model.database.append(5);
  await model.scene.runOnce({ owner: 'game-1', takeover: true });
  expect(await model.scene.generation()).toMatchObject({
    reason: 'takeover',
    parent: { generation: old.generation, position: { tx: 19n } },
    writer: { owner: 'game-1' },
  });
  await model.expectLineIsLocal();
});

test('requests of a start: four to go on, six into a new generation; one more to hand over', async () => {
  await using model = await ModelScene.open();
  await model.database.append(20);
  await model.scene.runOnce();
  const { requests } = model.scene.client.store;
  const spent = async (): Promise<number> => {
    const before = Object.values(requests).reduce((sum, count) => sum + count, 0);
    await model.scene.runOnce();
    return Object.values(requests).reduce((sum, count) => sum + count, 0) - before;
  };
  expect(await spent()).toBe(4 + 1);
  await model.scene.killHolder();
  expect(await spent()).toBe(6 + 1);
});
