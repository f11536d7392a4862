// Invariant: what can be read before a place that cannot is stored, to the last commit. A place that stays unreadable is
// damage: with a snapshot behind it a new generation begins there; without one it is waited for, loudly. What can be read
// again is read, and nothing new begins for it.
import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { judgeHealth } from '../../src/observe/health.ts';
import { LASTS_MS } from '../../src/replicate/unreadable-log.ts';
import { BadSectorFiles, SECTOR_BYTES } from '../support/bad-sector-files.ts';
import { LAST, withService } from '../support/bad-sector-scene.ts';
import { LongLog } from '../support/long-log.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

const HEADER_BYTES = 10;

test.each([100, 64 * 1024, 700 * 1024])('all commits of %i bytes before a bad sector are stored', async (bytes) => {
  await using scene = await ReplicatorScene.open();
  await rm(scene.database, { recursive: true });
  const log = await LongLog.create(scene.database);
  const commits = Math.ceil(4_000_000 / bytes);
  await log.append(commits, { bytes });
  const commitBytes = bytes + 26;
  const first = Math.floor((commits * commitBytes * 0.7) / SECTOR_BYTES);
  const files = new BadSectorFiles([{ path: '.stdb.log', first, count: 1 }]);
  const one = await scene.replicator({ files });
  await expect(one.run(new AbortController().signal)).rejects.toThrow('EIO');
  const before = BigInt(Math.floor((first * SECTOR_BYTES - HEADER_BYTES) / commitBytes));
  expect((await scene.logObjects()).at(-1)?.last).toBe(before - 1n);
  expect((await scene.head()).position?.tx).toBe(before - 1n);
});

test('a bad sector that stays, and a snapshot behind it: after a while a new generation begins there', async () => {
  let bad = 0n;
  await withService(
    async ({ model, spoil }) => {
      await model.database.snapshot(500n);
      bad = await spoil(300n);
    },
    async ({ model, one, said, elapsedMs, caughtUp }) => {
      await model.until(() => one.status().stored?.tx === bad - 1n);
      await model.until(() => (one.status().generationsBegun?.['damaged'] ?? 0) > 0 || elapsedMs() > 10 * LASTS_MS);
      expect(elapsedMs()).toBeGreaterThan(LASTS_MS);
      await caughtUp();
      expect(one.status()).toMatchObject({ generationsBegun: { first: 1, damaged: 1 }, stored: { tx: LAST } });
      expect(one.status().damage).toMatchObject({ tx: bad, message: expect.stringContaining('EIO') as string });
      expect(said.join('\n')).toMatch(/begins from transaction 500 on, at a snapshot behind damage: .*EIO/);
      await model.until(() => one.status().newestSnapshot === 500n);
      const restored = await model.restore();
      expect([restored.snapshot, restored.log.at(-1)?.last]).toEqual([500n, LAST]);
      // What follows is stored in the same generation, and asks for nothing before it.
      await model.database.append(5);
      await caughtUp();
      expect(one.status().generationsBegun).toEqual({ first: 1, damaged: 1 });
    },
  );
});

test('one that is mended in time is gone on with, and nothing begins', async () => {
  await withService(
    async ({ model, spoil }) => {
      await model.database.snapshot(500n);
      await spoil(300n);
    },
    async ({ model, files, one, elapsedMs, caughtUp }) => {
      await model.until(() => files.struck > 20 && elapsedMs() > 5_000);
      if (elapsedMs() < LASTS_MS) expect(one.status().generationsBegun).toEqual({ first: 1 });
      expect(one.status().lastError?.message).toContain('EIO');
      const begun = one.status().generationsBegun;
      files.bad = [];
      await caughtUp();
      expect(one.status().generationsBegun).toEqual(begun);
      expect(one.status().damage).toBeNull();
    },
  );
});

test('without a snapshot behind it, it is told as damage; mended after an hour, it is gone on with', async () => {
  let bad = 0n;
  await withService(
    async ({ spoil }) => void (bad = await spoil(300n)),
    async ({ model, files, one, elapsedMs, caughtUp }) => {
      await model.until(() => elapsedMs() > 3_600_000);
      expect(judgeHealth([one.status()])).toMatchObject({ health: 'degraded' });
      expect(one.status()).toMatchObject({ generationsBegun: { first: 1 }, stored: { tx: bad - 1n } });
      expect(one.status().damage).toMatchObject({ tx: bad });
      expect(one.status().lagSeconds).toBeGreaterThan(3_000);
      files.bad = [];
      await caughtUp();
      expect(one.status().damage).toBeNull();
      expect(one.status().generationsBegun).toEqual({ first: 1 });
      await model.expectLineIsLocal();
    },
  );
});

test('a snapshot that comes later is where it goes on', async () => {
  await withService(
    async ({ spoil }) => void (await spoil(300n)),
    async ({ model, one, caughtUp }) => {
      await model.until(() => (one.status().damage ?? null) !== null);
      await model.database.append(10, { rotate: true });
      await model.database.snapshot(605n);
      await caughtUp();
      expect(one.status().generationsBegun).toEqual({ first: 1, damaged: 1 });
      await model.until(() => one.status().newestSnapshot === 605n);
      expect((await model.restore()).log.at(-1)?.last).toBe(609n);
    },
  );
});

test('with nothing good behind it, it is neither the end of the log nor damage: waited for, and told', async () => {
  let bad = 0n;
  await withService(
    async ({ spoil }) => void (bad = await spoil(LAST)),
    async ({ model, files, one, elapsedMs, caughtUp }) => {
      await model.until(() => elapsedMs() > 5 * LASTS_MS);
      expect(one.status()).toMatchObject({ stored: { tx: bad - 1n }, generationsBegun: { first: 1 } });
      expect(one.status().lastError?.message).toContain('EIO');
      expect(one.status().lagSeconds).toBeGreaterThan(60);
      files.bad = [];
      await caughtUp();
      expect(one.status().generationsBegun).toEqual({ first: 1 });
    },
  );
});

describe('in what is stored already', () => {
  test('before its end: looked through, and gone on with in the same generation', async () => {
    await withService(
      async ({ model, spoil }) => {
        await model.scene.runOnce();
        await spoil(300n);
        await model.database.append(5);
      },
      async ({ one, caughtUp }) => {
        await caughtUp();
        expect(one.status().generationsBegun).toEqual({});
        expect(one.status().stored?.tx).toBe(604n);
      },
    );
  });

  test('at its end, with nothing behind it: the log is not taken for a shorter one', async () => {
    await withService(
      async ({ model, spoil }) => {
        await model.scene.runOnce();
        await spoil(LAST);
      },
      async ({ model, files, one, elapsedMs, caughtUp }) => {
        await model.until(() => elapsedMs() > 5 * LASTS_MS);
        expect(one.status().generationsBegun).toEqual({});
        expect(one.status().lastError?.message).toContain('EIO');
        files.bad = [];
        await caughtUp();
        expect(one.status().generationsBegun).toEqual({});
      },
    );
  });

  test('at its end, with a snapshot behind it: damage', async () => {
    await withService(
      async ({ model, spoil }) => {
        await model.scene.runOnce();
        await spoil(LAST);
        await model.database.append(300);
        await model.database.snapshot(800n);
      },
      async ({ model, one, caughtUp }) => {
        await caughtUp();
        expect(one.status().generationsBegun).toEqual({ damaged: 1 });
        await model.until(() => one.status().newestSnapshot === 800n);
        expect((await model.restore()).log.at(-1)?.last).toBe(899n);
      },
    );
  });
});

test('a disk of which nothing can be read begins nothing, and ends no service', async () => {
  await withService(
    async ({ model, files }) => {
      await model.scene.runOnce();
      await model.database.append(5);
      await model.database.snapshot(604n);
      files.bad = [{ path: '', first: 0, count: 2 ** 30 }];
    },
    async ({ model, files, one, elapsedMs, caughtUp }) => {
      await model.until(() => elapsedMs() > 5 * LASTS_MS);
      expect(one.status().generationsBegun).toEqual({});
      files.bad = [];
      await caughtUp();
      expect(one.status().generationsBegun).toEqual({});
      await model.expectLineIsLocal();
    },
  );
});
