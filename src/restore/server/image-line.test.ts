/** Invariant: only images of the head's line count, newest first; what a replaced writer still stored is none of them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RestoreScene } from '../../../test/support/restore-scene.ts';
import { type ImageSample, ServerStoreBuilder, type StoredImage } from '../../../test/support/server-store-builder.ts';
import { CorruptionError, NoBackupError, UnrecoverablePointError, UsageError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { SERVER_PREFIX } from '../../layout/server-keys.ts';
import { prefixedClient } from '../../replica/wrap/prefixed.ts';
import { imagesOfLine } from './image-line.ts';
import { readServerStore } from './read-server-store.ts';

let scene: RestoreScene;
let builder: ServerStoreBuilder;
beforeEach(async () => {
  scene = await RestoreScene.open();
  builder = new ServerStoreBuilder(scene.client);
});
afterEach(() => scene[Symbol.asyncDispose]());

const at = (time: bigint): ImageSample => ({
  time,
  files: { 'metadata.toml': { content: `made at ${time}` } },
  replicas: [],
});

async function lineTimes(generation?: string): Promise<bigint[]> {
  const client = prefixedClient(scene.client, SERVER_PREFIX);
  const view = await readServerStore({ client, parallelism: 2, log: silentLog, signal: new AbortController().signal });
  return imagesOfLine(view, { source: 'memory', generation }).map(({ image }) => image.time);
}

test('images of parents count up to the parent point, and those after it do not', async () => {
  const first = await builder.putGeneration(1);
  await builder.putImage(first, at(10n));
  const parent: StoredImage = await builder.putImage(first, at(20n));
  await builder.putImage(first, at(35n));
  const second = await builder.putGeneration(2, parent);
  await builder.putImage(second, at(30n));
  await builder.putImage(await builder.putGeneration(3), at(90n));
  await builder.putHead(second);
  expect(await lineTimes()).toEqual([30n, 20n, 10n]);
  expect(await lineTimes('1')).toEqual([35n, 20n, 10n]);
  await expect(lineTimes('7')).rejects.toThrow(UsageError);
});

test('a head without images names the line that has some, and never takes it', async () => {
  await builder.putImage(await builder.putGeneration(1), at(10n));
  await builder.putHead(await builder.putGeneration(2));
  await expect(lineTimes()).rejects.toThrow(UnrecoverablePointError);
  await expect(lineTimes()).rejects.toHaveProperty('hint', expect.stringContaining('-generation 00000001-00000001'));
});

test('without a head the newest generation that holds an image is taken', async () => {
  await builder.putImage(await builder.putGeneration(1), at(10n));
  await builder.putImage(await builder.putGeneration(2), at(20n));
  await builder.putGeneration(3);
  expect(await lineTimes()).toEqual([20n]);
});

test('a line through a damaged or missing document is not guessed at', async () => {
  const parent = await builder.putImage(await builder.putGeneration(1), at(10n));
  const second = await builder.putGeneration(2, parent);
  await builder.putImage(second, at(20n));
  await builder.putHead(second);
  const key = `server/generations/${parent.generation}/generation.json`;
  scene.flip(key, 20);
  await expect(lineTimes()).rejects.toThrow(CorruptionError);
  scene.client.store.objects.delete(key);
  await expect(lineTimes()).rejects.toThrow(CorruptionError);
});

test('nothing at all is no backup', async () => {
  await expect(lineTimes()).rejects.toThrow(NoBackupError);
  await builder.putHead(await builder.putGeneration(1));
  await expect(lineTimes()).rejects.toThrow(NoBackupError);
});
