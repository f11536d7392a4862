/**
 * Invariant: however the log of a directory grows, is rotated, compressed and left by crashes while it is followed, or
 * while nobody followed it, the store holds one unbroken line of its whole commits, and a restore gives back exactly those.
 */
import { appendFile, open, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { aMoment, MovingScene } from '../support/moving-scene.ts';

const HEADER = Buffer.from(encodeSegmentHeader({ version: 1 }));

const commit = (tx: bigint, options: { count?: number; bytes?: number; epoch?: bigint } = {}): Buffer => {
  const { count = 1, bytes = 60, epoch = 0n } = options;
  const records = Buffer.alloc(bytes, `commit ${tx} `);
  return Buffer.from(encodeCommit({ version: 1, tx: txOffset(tx), count, epoch, records }));
};

/** With a checksum that does not fit. */
function badCommit(tx: bigint): Buffer {
  const bytes = commit(tx);
  bytes[bytes.byteLength - 1] = (bytes.at(-1) ?? 0) ^ 0xff;
  return bytes;
}

const s3 = await faultyS3();
const openScene = async (): Promise<MovingScene> => MovingScene.open(await s3.open());

// Side by side, since they wait for most of their time.
describe.concurrent('a log that moves', () => {
  s3.test('appends in any split, inside headers too', async () => {
    await using scene = await openScene();
    await scene.database.append(3);
    await scene.start();
    const append = async (path: string, bytes: Buffer, cuts: readonly number[]): Promise<void> => {
      for (const [index, to] of [...cuts, bytes.byteLength].entries()) {
        await appendFile(path, bytes.subarray(cuts[index - 1] ?? 0, to));
        await aMoment();
      }
    };
    const first = scene.database.segmentPath(0n);
    await append(first, commit(3n), [1, 7, 8, 16, 21, 22, 50]);
    await append(first, Buffer.concat([commit(4n), commit(5n)]), [90, 107]);
    await scene.caughtUp();
    // A new segment whose own header comes in parts.
    const second = scene.database.segmentPath(6n);
    await append(second, Buffer.concat([HEADER, commit(6n), commit(7n)]), [0, 3, 6, 9, 10, 12, 31, 97, 99]);
    await scene.caughtUp();
    expect(await scene.database.lastTx()).toBe(7n);
    await scene.finish();
    expect(await scene.reasons()).toEqual(['first']);
  });

  s3.test('rotations while it is followed, and several at once while nobody followed it', async () => {
    await using scene = await openScene();
    await scene.database.append(10);
    await scene.start();
    for (let segments = 0; segments < 3; segments += 1) await scene.database.append(4, { rotate: true });
    await scene.caughtUp();
    await scene.kill();
    for (let segments = 0; segments < 5; segments += 1) await scene.database.append(3, { rotate: true });
    await scene.start();
    await scene.caughtUp();
    await scene.finish();
    expect(await scene.reasons()).toEqual(['first', 'takeover']);
    expect(new Set((await scene.stored()).generations[1]?.objects.map(({ segment }) => segment)).size).toBe(5);
  });

  s3.test('closed segments are replaced by compressed ones before, while and after they are read', async () => {
    await using scene = await openScene();
    for (let segments = 0; segments < 4; segments += 1) await scene.database.append(60, { rotate: true });
    await scene.database.compress();
    await scene.start();
    for (let segments = 0; segments < 8; segments += 1) {
      await scene.database.append(60, { rotate: true });
      await scene.database.append(3);
      if (segments % 2 === 1) await scene.database.compress();
    }
    await scene.caughtUp();
    await scene.kill();
    await scene.database.append(20);
    await scene.database.append(20, { rotate: true });
    await scene.database.compress();
    await scene.start();
    await scene.caughtUp();
    await scene.finish();
    expect(await scene.reasons()).toEqual(['first', 'takeover']);
  });

  s3.test('a torn tail that becomes whole, or is cut off and written over by a server that starts', async () => {
    await using scene = await openScene();
    await scene.database.append(5);
    await scene.start();
    const path = scene.database.segmentPath(0n);
    await appendFile(path, commit(5n).subarray(0, 40));
    await scene.caughtUp();
    await appendFile(path, commit(5n).subarray(40));
    await scene.caughtUp();
    // Less than a header: cut off by the server, which goes on in the same file with another commit.
    await appendFile(path, commit(6n).subarray(0, 9));
    await scene.caughtUp();
    const file = await open(path, 'r+');
    await file.truncate((await file.stat()).size - 9);
    await file.close();
    await appendFile(path, commit(6n, { count: 3 }));
    await scene.caughtUp();
    await scene.finish();
    expect(await scene.reasons()).toEqual(['first']);
  });

  for (const [what, garbage] of [
    ['a bad commit', (tx: bigint) => badCommit(tx)],
    ['half a commit', (tx: bigint) => commit(tx).subarray(0, 50)],
    ['zeros', () => Buffer.alloc(4096)],
    ['any bytes', () => Buffer.alloc(777, 0xa5)],
  ] as const) {
    s3.test(`${what} at the end after a crash, and a new segment behind it`, async () => {
      await using scene = await openScene();
      await scene.database.append(5);
      await appendFile(scene.database.segmentPath(0n), garbage(5n));
      await scene.start();
      await scene.caughtUp();
      await scene.database.append(5, { rotate: true });
      await scene.caughtUp();
      // The same where it is running, and where it is not.
      await appendFile(scene.database.segmentPath(5n), garbage(10n));
      await aMoment();
      await scene.database.append(5, { rotate: true });
      await scene.caughtUp();
      await scene.kill();
      await appendFile(scene.database.segmentPath(10n), garbage(15n));
      await scene.database.append(5, { rotate: true });
      await scene.start();
      await scene.caughtUp();
      await scene.finish();
      expect(await scene.reasons()).toEqual(['first', 'takeover']);
    });
  }

  for (const [what, content] of [
    ['only a header', HEADER],
    ['nothing', Buffer.of()],
  ] as const) {
    s3.test(
      `a last segment with ${what} is deleted, the one before goes on, and its successor has another name`,
      async () => {
        await using scene = await openScene();
        await scene.database.append(5);
        await scene.start();
        await scene.caughtUp();
        await writeFile(scene.database.segmentPath(5n), content);
        await aMoment();
        // A server that starts takes it away before it writes.
        await rm(scene.database.segmentPath(5n));
        await appendFile(scene.database.segmentPath(0n), commit(5n));
        await scene.caughtUp();
        await writeFile(scene.database.segmentPath(6n), content);
        await scene.kill();
        await scene.start();
        await scene.says(/"reason":"takeover".*"msg":"replicating"/);
        await rm(scene.database.segmentPath(6n));
        await appendFile(scene.database.segmentPath(0n), Buffer.concat([commit(6n), commit(7n)]));
        await scene.database.append(4, { rotate: true });
        await scene.caughtUp();
        await scene.finish();
        expect(await scene.reasons()).toEqual(['first', 'takeover']);
      },
    );
  }

  s3.test('a preallocated segment: commits are written over its zeros, and it never grows', async () => {
    await using scene = await openScene();
    await scene.database.append(1);
    const path = scene.database.segmentPath(0n);
    let at = (await readFile(path)).byteLength;
    await appendFile(path, Buffer.alloc(300_000));
    await scene.start();
    const file = await open(path, 'r+');
    try {
      for (let tx = 1n; tx < 30n; tx += 1n) {
        const bytes = commit(tx, { bytes: Number(tx) * 10 });
        await file.write(bytes, 0, 30, at);
        if (tx % 10n === 0n) await aMoment();
        await file.write(bytes, 30, bytes.byteLength - 30, at + 30);
        at += bytes.byteLength;
        if (tx % 10n === 0n) await scene.caughtUp();
      }
      await scene.caughtUp();
    } finally {
      await file.close();
    }
    await scene.finish();
    expect(await scene.reasons()).toEqual(['first']);
    // Space that is waiting to be written is no trouble, and is said at most once for a segment.
    expect(scene.words.split('"kind":"zero"').length - 1).toBeLessThanOrEqual(1);
  });
});
