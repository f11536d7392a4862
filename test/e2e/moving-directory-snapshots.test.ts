/**
 * Invariant: whatever a server does to its snapshots while they are read, what is stored of them is whole and proven, and
 * a restore uses the newest one that was left in peace; the log goes on meanwhile.
 */
import { cp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect } from 'vitest';
import { faultyS3 } from '../support/faulty-s3.ts';
import { plainBytes, readDatabase, readTree } from '../support/recorded-database.ts';
import { aMoment, MovingScene } from '../support/moving-scene.ts';
import { compressObject } from '../sim/server-files.ts';

const s3 = await faultyS3();

const twenty = (tx: bigint): string => tx.toString().padStart(20, '0');
const directoryOf = (scene: MovingScene, tx: bigint): string => scene.at('snapshots', `${twenty(tx)}.snapshot_dir`);
const lockOf = (scene: MovingScene, tx: bigint): string => scene.at('snapshots', `${twenty(tx)}.lock`);

/** Takes it aside, and gives its files in the order in which a server writes them. */
async function takeAside(scene: MovingScene, tx: bigint): Promise<(readonly [path: string, bytes: Buffer])[]> {
  await scene.database.snapshot(tx);
  const files = [...(await readTree(directoryOf(scene, tx)))];
  await rm(directoryOf(scene, tx), { recursive: true });
  return files.toSorted(([a], [b]) => Number(a.endsWith('.snapshot_bsatn')) - Number(b.endsWith('.snapshot_bsatn')));
}

async function open(): Promise<MovingScene> {
  const scene = await MovingScene.open(await s3.open());
  await scene.database.append(20);
  return scene;
}

// Side by side, since they wait for most of their time.
describe.concurrent('snapshots that are not left alone', () => {
  s3.test('a snapshot appears file by file, the snapshot file in two parts, while its lock stands', async () => {
    await using scene = await open();
    await scene.start();
    await scene.caughtUp();
    const files = await takeAside(scene, 15n);
    await writeFile(lockOf(scene, 15n), '');
    for (const [path, bytes] of files) {
      const target = `${directoryOf(scene, 15n)}/${path}`;
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, bytes.subarray(0, 20));
      await scene.database.append(1);
      await scene.caughtUp();
      await writeFile(target, bytes);
    }
    expect(scene.words).not.toMatch(/snapshot 15 cannot be backed up|"msg":"snapshot stored"/);
    await rm(lockOf(scene, 15n));
    await scene.snapshotStored(15n);
    await scene.finish();
    expect(scene.words).not.toMatch(/"level":"error"/);
  });

  s3.test('a snapshot is compressed in place while it is read', async () => {
    await using scene = await open();
    await scene.start();
    await scene.caughtUp();
    // Its objects have been read, and the manifest is not yet written.
    scene.proxy.mode = { kind: 'stop-at', line: /PUT \S*\/packs\//, when: 'done' };
    await scene.takeSnapshot(12n);
    await scene.until(() => scene.proxy.stopped > 0, 'a pack to be sent');
    // As a server does it: each file replaced, while the lock stands.
    const files = [...(await readTree(directoryOf(scene, 12n)))];
    await writeFile(lockOf(scene, 12n), '');
    scene.mendLine();
    for (const [path, bytes] of files) {
      const target = `${directoryOf(scene, 12n)}/${path}`;
      await writeFile(`${target}._tmp`, compressObject(bytes));
      await aMoment();
      await rename(`${target}._tmp`, target);
    }
    await rm(lockOf(scene, 12n));
    await scene.snapshotStored(12n);
    const restored = await scene.finish();
    // Restored plain.
    for (const [path, bytes] of await readTree(`${restored}/snapshots`)) expect(plainBytes(bytes), path).toBe(bytes);
    expect(scene.words).not.toMatch(/"level":"error"/);
  });

  for (const ending of ['invalid_snapshot', 'archived_snapshot'] as const) {
    s3.test(`a snapshot is renamed to .${ending} while it is read: it is not stored, the one before is`, async () => {
      await using scene = await open();
      await scene.takeSnapshot(5n);
      await scene.start();
      await scene.caughtUp();
      await scene.snapshotStored(5n);
      // The pack has arrived, and its answer has not: the manifest comes after it.
      scene.proxy.mode = { kind: 'stop-at', line: /PUT \S*\/packs\//, when: 'done' };
      await scene.takeSnapshot(18n);
      await scene.until(() => scene.proxy.stopped > 0, 'a pack to be sent');
      const renamed = scene.at('snapshots', `${twenty(18n)}.${ending}`);
      await rename(directoryOf(scene, 18n), renamed);
      scene.mendLine();
      await scene.database.append(3);
      await scene.caughtUp();
      await scene.finish();
      const { generations } = await scene.stored();
      expect(generations.flatMap(({ snapshots }) => snapshots)).toEqual([5n]);
    });
  }

  s3.test('stale locks stay for ever: an older snapshot counts, and a newer one without a lock', async () => {
    await using scene = await open();
    await scene.takeSnapshot(5n);
    await scene.takeSnapshot(10n);
    await writeFile(lockOf(scene, 10n), '');
    await writeFile(lockOf(scene, 14n), '');
    await scene.start();
    await scene.caughtUp();
    await scene.snapshotStored(5n);
    await scene.database.append(5);
    await scene.takeSnapshot(23n);
    await scene.snapshotStored(23n);
    await scene.kill();
    const { generations } = await scene.stored();
    expect(generations.flatMap(({ snapshots }) => snapshots)).toEqual([5n, 23n]);
    await scene.start();
    await scene.finish();
  });

  s3.test('the snapshots of a history that was lost belong to its own line', async () => {
    await using scene = await open();
    await scene.takeSnapshot(9n);
    await scene.takeSnapshot(17n);
    await scene.start();
    await scene.caughtUp();
    await scene.snapshotStored(17n);
    await cp(scene.place.database, scene.place.at('before'), { recursive: true });
    await scene.database.cutBack(12n);
    await scene.database.append(2);
    await scene.caughtUp();
    await scene.finish({ source: await readDatabase(scene.place.database) });
    await scene.expectGeneration('1', await readDatabase(scene.place.at('before')));
  });
});
