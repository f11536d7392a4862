/**
 * Invariant: of a server's backup each database and each image is checked; a damaged or missing file, program, document or
 * database is found under its whole key, and hides nothing else.
 */
import { beforeEach, expect, test } from 'vitest';
import { ServerStoreBuilder } from '../../test/support/server-store-builder.ts';
import { damageOf, ofKind, VerifyScene } from '../../test/support/verify-scene.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { verifyStore } from './verify-store.ts';

const SMALL = vectorDirectory('v2-small');
const TIME = 1_700_000_000_000_000n;

let scene: VerifyScene;
beforeEach(async () => {
  scene = new VerifyScene();
  const builder = new ServerStoreBuilder(scene.client);
  await builder.putFormat();
  const generation = await builder.putGeneration(1);
  const files = { 'metadata.toml': { content: 'a' }, 'control-db/conf': { content: 'b'.repeat(1000) } };
  await builder.putImage(generation, {
    time: TIME,
    files,
    directories: ['control-db'],
    programs: ['p'],
    replicas: [1n],
  });
  await builder.putHead(generation);
  await builder.putReplica(1n, SMALL);
});

test('a whole server has no findings', async () => {
  const deep = await scene.deep();
  expect(deep).toMatchObject({ kind: 'server', findings: [], images: { images: 1, objectsRead: 3 } });
  expect(deep.databases).toMatchObject([{ replicaId: 1n, isEmpty: false }]);
  expect(typeof verifyStore).toBe('function');
});

test('each object that is flipped is found by its whole key', async () => {
  for (const key of scene.keys()) {
    const before = scene.bytesOf(key);
    scene.flip(key);
    expect(damageOf(await scene.deep()), key).toContainEqual(expect.objectContaining({ key }));
    scene.client.store.set(key, before);
  }
});

test('each object that is removed is missed, by names alone', async () => {
  for (const key of scene.keys()) {
    const before = scene.bytesOf(key);
    await scene.client.delete([key]);
    const { findings } = await scene.quick();
    // Without its manifest there is no image and no snapshot, and what is left of it is needed by none.
    const isWhole = key.endsWith('manifest.json') || key.endsWith('manifest.ndjson.zst');
    if (isWhole) expect(ofKind(await scene.quick(), 'unneeded').length, key).toBeGreaterThan(0);
    else expect(damageOf(await scene.quick()).length, key).toBeGreaterThan(0);
    expect(findings.length).toBeGreaterThan(0);
    scene.client.store.set(key, before);
  }
});

test('what lies beside the parts is a note', async () => {
  for (const key of ['junk', 'server/junk', 'replicas/x/junk', 'replicas/1/junk']) {
    scene.client.store.set(key, Buffer.from('x'));
    const { findings } = await scene.quick();
    expect(findings, key).toMatchObject([{ kind: 'foreign', severity: 'note' }]);
    await scene.client.delete([key]);
  }
});
