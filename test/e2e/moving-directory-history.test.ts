/**
 * Invariant: whatever takes a directory's history back, away or apart, what the store holds of each history stays one
 * unbroken line that can be restored by its generation, and the default restore is what the directory holds now.
 */
import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { dueOf } from '../support/data-sets.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { MovingScene } from '../support/moving-scene.ts';
import { readDatabase } from '../support/recorded-database.ts';

const s3 = await faultyS3();
const openScene = async (): Promise<MovingScene> => MovingScene.open(await s3.open());

// Side by side, since they wait for most of their time.
describe.concurrent('a history that is lost or left', () => {
  s3.test('the log is reset to an earlier offset: segments deleted, one cut, and other commits written', async () => {
    await using scene = await openScene();
    await scene.database.append(10);
    await scene.database.append(10, { rotate: true });
    await scene.database.append(10, { rotate: true });
    await scene.start();
    await scene.caughtUp();
    const old = await readDatabase(scene.place.database);
    await scene.database.cutBack(13n);
    await scene.database.append(4);
    await scene.database.append(9, { rotate: true });
    await scene.caughtUp();
    const second = await readDatabase(scene.place.database);
    // And once more, while nobody looks.
    await scene.kill();
    await scene.database.cutBack(6n);
    await scene.database.append(3);
    await scene.start();
    await scene.caughtUp();
    await scene.finish();
    const { generations } = await scene.stored();
    // One that began and stored nothing is left out of every line.
    const [first, next, ...later] = generations.filter(({ objects }) => objects.length > 0);
    await scene.expectGeneration(first?.name ?? '', old);
    await scene.expectGeneration(next?.name ?? '', second);
    expect([first, next, ...later].map((one) => one?.parent?.tx)).toEqual([undefined, 13n, 6n]);
    const reasons = generations.map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason !== 'takeover').slice(0, 3), scene.words).toEqual([
      'first',
      'rolled-back',
      'rolled-back',
    ]);
  });

  s3.test('leading segments are deleted while they are followed, and while nobody followed them', async () => {
    await using scene = await openScene();
    for (let segments = 0; segments < 4; segments += 1) await scene.database.append(10, { rotate: true });
    await scene.start();
    await scene.takeSnapshot(25n);
    await scene.caughtUp();
    await scene.snapshotStored(25n);
    await scene.database.prune(25n);
    await scene.database.append(5);
    await scene.caughtUp();
    await scene.kill();
    await scene.takeSnapshot(38n);
    await scene.database.prune(38n);
    await scene.database.append(5, { rotate: true });
    await scene.start();
    await scene.caughtUp();
    await scene.snapshotStored(38n);
    await scene.finish({ from: 30n });
    expect(await scene.reasons()).toEqual(['first', 'takeover']);
  });

  s3.test('the whole directory is removed, and a database is made again under its name', async () => {
    await using scene = await openScene();
    await scene.database.append(10);
    await scene.database.snapshot();
    await scene.start();
    await scene.caughtUp();
    await scene.snapshotStored(9n);
    const first = await readDatabase(scene.place.database);
    await rename(scene.place.database, scene.place.at('away'));
    await scene.says(/waiting/i);
    // Another one, and nothing says so but its commits.
    await scene.database.append(7);
    await scene.caughtUp();
    const second = await readDatabase(scene.place.database);
    // And at once, between two looks, one that says who it is.
    await rename(scene.place.database, scene.place.at('away-too'));
    scene.database.identity = 'b'.repeat(64);
    await scene.database.append(25);
    await scene.database.snapshot();
    await scene.caughtUp();
    await scene.snapshotStored(24n);
    await scene.finish();
    await scene.expectGeneration('1', first);
    await scene.expectGeneration('2', second);
    expect((await scene.reasons()).slice(0, 2)).toEqual(['first', 'rolled-back']);
    expect((await scene.stored()).generations.every(({ parent }) => parent === null)).toBe(true);
  });

  s3.test('a log that starts above 0 waits for its snapshot, and is then restored from it', async () => {
    await using scene = await openScene();
    await scene.database.append(10);
    await scene.database.append(10, { rotate: true });
    await scene.database.prune(15n);
    await scene.start();
    await scene.says(/starts at transaction 10, and no complete snapshot stands at or after 9/);
    expect((await scene.stored()).generations).toEqual([]);
    await scene.takeSnapshot(15n);
    await scene.caughtUp();
    await scene.snapshotStored(15n);
    await scene.database.append(10, { rotate: true });
    await scene.caughtUp();
    await scene.finish({ from: 10n });
    expect(await scene.reasons()).toEqual(['first']);
  });

  s3.test('a bad commit with more growth behind it is damage: a line before it, and one behind it', async () => {
    await using scene = await openScene();
    await scene.database.append(12);
    await scene.start();
    await scene.caughtUp();
    const path = scene.database.segmentPath(0n);
    // So that nobody sees it while it is good.
    scene.suspend();
    await scene.database.append(8);
    await scene.remember();
    const good = await readFile(path);
    const before = dueOf(await readDatabase(scene.place.database), { from: 0n, last: 13n, snapshot: 0n });
    await scene.database.spoil(14n);
    const bad = await readFile(path);
    scene.resume();
    await scene.says(/"code":"CORRUPTION".*lacks transaction 14/);
    await scene.says(/nothing is backed up: .*lacks transaction 14/);
    scene.suspend();
    await writeFile(path, good);
    await scene.takeSnapshot(16n);
    await writeFile(path, bad);
    scene.resume();
    await scene.says(/"reason":"damaged".*"msg":"replicating/);
    await scene.snapshotStored(16n);
    await scene.finish({ from: 16n, source: await readDatabase(scene.place.database) });
    expect((await scene.reasons()).at(-1)).toBe('damaged');
    await scene.expectGeneration('1', before);
  });

  s3.test(
    'commits of several transactions, rising epochs and segments of version 0, also as the last one',
    async () => {
      await using scene = await openScene();
      const commits = (version: 0 | 1, first: bigint, epoch: bigint): Buffer => {
        const counts = [1, 7, 300, 65_535, 2];
        let tx = first;
        const parts = counts.map((count) => {
          const made = encodeCommit({ version, tx: txOffset(tx), count, epoch, records: Buffer.alloc(64, `${tx} `) });
          tx += BigInt(count);
          return made;
        });
        return Buffer.concat(parts);
      };
      const each = 65_845n;
      await mkdir(scene.at('clog'), { recursive: true });
      const segment = (version: 0 | 1, first: bigint, ...epochs: readonly bigint[]): Promise<void> =>
        writeFile(
          scene.database.segmentPath(first),
          Buffer.concat([
            encodeSegmentHeader({ version }),
            ...epochs.map((epoch, index) => commits(version, first + each * BigInt(index), epoch)),
          ]),
        );
      await segment(0, 0n, 0n, 0n);
      await segment(1, each * 2n, 0n, 3n, 2n ** 40n);
      await scene.start();
      await scene.caughtUp();
      await segment(1, each * 5n, 2n ** 40n, 2n ** 63n);
      await scene.caughtUp();
      // The newest one of version 0, as old servers write it.
      await segment(0, each * 7n, 0n);
      await scene.caughtUp();
      await appendFile(scene.database.segmentPath(each * 7n), commits(0, each * 8n, 0n));
      await scene.caughtUp();
      const restored = await scene.finish();
      expect(await scene.reasons()).toEqual(['first']);
      // It holds the same transactions, in the version that a server opens.
      const last = (await readdir(`${restored}/clog`)).findLast((name) => name.endsWith('.log')) ?? '';
      expect((await readFile(`${restored}/clog/${last}`))[6]).toBe(1);
    },
  );

  s3.test('offset indexes that are absent, that lie, or that lead into other commits', async () => {
    await using scene = await openScene();
    await scene.database.append(30);
    await scene.database.append(30, { rotate: true });
    const entry = (tx: bigint, at: bigint): Buffer => {
      const bytes = Buffer.alloc(16);
      bytes.writeBigUInt64LE(tx, 0);
      bytes.writeBigUInt64LE(at, 8);
      return bytes;
    };
    const indexOf = (first: bigint): string => scene.database.segmentPath(first).replace(/log$/, 'ofs');
    const lies = [
      Buffer.concat([entry(1n, 2n ** 60n), entry(2n ** 63n, 10n)]),
      Buffer.concat([entry(40n, 11n), entry(41n, 12n), entry(39n, 3n), entry(1000n, 500n)]),
      Buffer.alloc(333, 0xff),
      Buffer.alloc(0),
    ];
    await scene.start();
    for (const [index, lie] of lies.entries()) {
      for (const first of [0n, 30n]) await writeFile(indexOf(first), lie);
      await scene.database.append(4);
      // Bytes that are no commit: an index could be taken to lead past them.
      if (index === 1) await appendFile(scene.database.segmentPath(30n), Buffer.alloc(20, 1));
      if (index === 1) await scene.database.append(3, { rotate: true });
      await scene.caughtUp();
      await scene.kill();
      await scene.start();
      await scene.database.append(2);
      await scene.caughtUp();
    }
    for (const first of [0n, 30n]) await rm(indexOf(first));
    await scene.database.append(4);
    await scene.caughtUp();
    const restored = await scene.finish();
    expect((await scene.reasons()).slice(1).every((reason) => reason === 'takeover')).toBe(true);
    // Those of a restore are made from its commits, not copied.
    const { segments } = await readDatabase(restored);
    for (const { name, bytes } of segments) {
      const index = await readFile(`${restored}/clog/${name.replace(/log$/, 'ofs')}`);
      for (let at = 0; at < index.byteLength && index.readBigUInt64LE(at) !== 0n; at += 16) {
        expect(bytes.readBigUInt64LE(Number(index.readBigUInt64LE(at + 8)))).toBe(index.readBigUInt64LE(at));
      }
    }
  });
});
