/**
 * Invariant: whatever the store does, a standby's log is the line's, byte for byte, up to its position; it never holds
 * another history's commits, and where it cannot go on nothing of it was changed.
 */
import { appendFile, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LAST, otherHistory, StandbyScene } from '../../../test/support/standby-scene.ts';
import { positionOf } from '../../../test/support/store-builder.ts';
import { readTree } from '../../../test/support/recorded-database.ts';
import { CorruptionError, TargetInUseError, UnrecoverablePointError } from '../../core/errors.ts';
import { micros } from '../../core/types.ts';
import { CLOG_DIR } from '../../spacetimedb/file-names.ts';
import { readStandbyPosition, STANDBY_FILE, writeStandbyPosition } from './standby-position.ts';
import { realTargetSystem } from '../target-system.ts';

let it: StandbyScene;
beforeEach(async () => {
  it = await StandbyScene.open();
});
afterEach(() => it[Symbol.asyncDispose]());

const lastSegment = async (): Promise<string> => {
  const names = (await readdir(join(it.target, CLOG_DIR))).filter((name) => name.endsWith('.stdb.log'));
  return join(it.target, CLOG_DIR, names.toSorted().at(-1) ?? '');
};

/** What a standby refuses leaves its directory as it was. */
async function expectRefusal(kind: new (...args: never[]) => Error, says: RegExp): Promise<void> {
  const before = await readTree(it.target);
  const failure = await it
    .standby()
    .run(new AbortController().signal)
    .then(
      () => null,
      (error: unknown) => error,
    );
  expect(failure).toBeInstanceOf(kind);
  expect(String(failure)).toMatch(says);
  expect(await readTree(it.target)).toEqual(before);
}

describe('the line grows', () => {
  test('restored, and then commit by commit over a rotation: the log and its index are those of a restore', async () => {
    await it.store(0n, 99n, { commitsPerObject: 10 });
    await it.whileFollowing(async (reaches, standby) => {
      await reaches(99n);
      for (let tx = 100n; tx <= LAST; tx += 20n) {
        await it.store(tx, tx + 19n, { commitsPerObject: 7 });
        await reaches(tx + 19n);
      }
      expect(standby.status()).toMatchObject({ state: 'following', lagTransactions: 0, lagSeconds: 0 });
    });
    await it.scene.expectLog(it.commits);
    const own = await readTree(it.target);
    await it.scene.clear();
    await it.scene.run();
    const restored = await readTree(it.target);
    for (const [path, bytes] of restored) expect(own.get(path)?.equals(bytes), path).toBe(true);
    expect([...own.keys()].filter((path) => !restored.has(path))).toEqual([STANDBY_FILE]);
  });

  test('one that was ended goes on where it was, also from a plain restore', async () => {
    await it.store(0n, 120n);
    await it.scene.run();
    await it.followTo(120n);
    await it.store(121n, 200n, { commitsPerObject: 9 });
    await it.followTo(200n);
    await it.store(201n, LAST);
    await it.followTo(LAST);
    await it.scene.expectLog(it.commits);
  });

  test('one that is ended right after its restore is a standby, and not one that was stopped', async () => {
    await it.store(0n, 20n);
    const stop = new AbortController();
    const standby = it.standby({ onRestored: () => stop.abort(new Error('enough')) });
    await standby.run(stop.signal);
    expect(standby.status().position?.tx).toBe(20n);
    await it.store(21n, 30n);
    await it.followTo(30n);
  });

  test('a quiet store is asked one thing in each interval', async () => {
    await it.store(0n, LAST);
    await it.whileFollowing(async (reaches) => {
      await reaches(LAST);
      const lists: string[] = [];
      const { client } = it.scene;
      const list = client.list.bind(client);
      const get = client.get.bind(client);
      client.list = (prefix, options) => {
        lists.push(options?.startAfter ?? 'everything');
        return list(prefix, options);
      };
      client.get = (key, options) => {
        lists.push(key);
        return get(key, options);
      };
      while (lists.length < 10) await new Promise((resolve) => setTimeout(resolve, 2));
      // The first look after the last piece may still be at everything.
      expect(new Set(lists.slice(4)).size).toBe(1);
      expect(lists.at(-1)).toMatch(/^generations\/00000001-00000001\/log\/0\/0*147\/0*299~$/);
    });
  });
});

describe('what the store lacks', () => {
  test('objects that were replaced by longer ones: the position lies within one', async () => {
    const keys = await it.store(0n, 99n, { commitsPerObject: 10 });
    await it.followTo(99n);
    const gone = await it.store(100n, 139n, { commitsPerObject: 10 });
    await it.scene.client.delete([...keys.slice(5), ...gone]);
    await it.store(50n, 139n, { level: 1 });
    await it.followTo(139n);
    await it.scene.expectLog(it.between(0n, 139n));
  });

  test('an object that is damaged, where a longer one holds the same', async () => {
    await it.store(0n, 99n);
    await it.followTo(99n);
    const [damaged = ''] = await it.store(100n, 120n);
    it.scene.flip(damaged, 40);
    await expectRefusal(CorruptionError, /cannot be read behind transaction 99/);
    await it.store(90n, 130n, { level: 1 });
    await it.followTo(130n);
    await it.scene.expectLog(it.between(0n, 130n));
  });

  test('the next commit was never acknowledged: it is waited for', async () => {
    await it.store(0n, 99n);
    await it.whileFollowing(async (reaches) => {
      await reaches(99n);
      await it.builder.putLog(it.generation, { commits: it.between(110n, 119n) });
      await new Promise((resolve) => setTimeout(resolve, 50));
      await it.store(100n, 109n);
      await reaches(119n);
    });
    await it.scene.expectLog(it.between(0n, 119n));
  });

  test('the next commit is gone for good', async () => {
    await it.store(0n, 99n);
    await it.followTo(99n);
    await it.store(110n, 119n);
    await expectRefusal(UnrecoverablePointError, /goes on at 110.*restored again from transaction 100 on/s);
  });
});

describe('the head goes over to another generation', () => {
  const branch = (tx: bigint): Promise<typeof it.generation> => {
    const parent = it.between(tx, tx).at(0);
    if (parent === undefined) throw new RangeError(`no commit at ${tx}`);
    return it.builder.putGeneration({ number: 2, parent: { generation: it.generation, position: positionOf(parent) } });
  };

  test('at the position, or behind it, also within an object', async () => {
    await it.store(0n, 99n);
    await it.whileFollowing(async (reaches) => {
      await reaches(99n);
      const generation = await branch(120n);
      await it.builder.putLog(it.generation, { commits: it.between(100n, 130n) });
      await it.store(121n, 150n, { generation });
      await reaches(150n);
    });
    await it.scene.expectLog(it.between(0n, 150n));
  });

  test.each([
    ['one short object', 105n],
    ['an object that holds the position', 150n],
  ])('before the position, with other commits: %s', async (_, to) => {
    await it.store(0n, 119n, { commitsPerObject: 10 });
    await it.followTo(119n);
    const generation = await branch(99n);
    const commits = otherHistory(it.between(100n, to));
    await it.builder.putLog(generation, { commits });
    await it.builder.putHead(generation, commits.at(-1) ?? null);
    await expectRefusal(UnrecoverablePointError, /went on without the end of .*: that ends at transaction 119/);
  });

  test('before the position, with the same commits', async () => {
    await it.store(0n, 119n, { commitsPerObject: 10 });
    await it.followTo(119n);
    await it.store(100n, 150n, { generation: await branch(99n) });
    await it.followTo(150n);
    await it.scene.expectLog(it.between(0n, 150n));
  });
});

describe('what a kill leaves', () => {
  beforeEach(async () => {
    await it.store(0n, 99n, { commitsPerObject: 10 });
    await it.followTo(99n);
    await it.store(100n, 199n, { commitsPerObject: 10 });
    await it.followTo(199n);
    await it.store(200n, 249n, { commitsPerObject: 10 });
  });

  test.each([
    [
      'a torn commit',
      async () => appendFile(await lastSegment(), it.between(200n, 200n)[0]?.bytes.subarray(0, 60) ?? ''),
    ],
    ['zeros', async () => appendFile(await lastSegment(), new Uint8Array(5000))],
    ['a bad commit', async () => appendFile(await lastSegment(), new Uint8Array(5000).fill(7))],
    [
      'commits that were not noted',
      async () => appendFile(await lastSegment(), Buffer.concat(it.between(200n, 204n).map(({ bytes }) => bytes))),
    ],
    ['no index', async () => rm((await lastSegment()).replace(/log$/, 'ofs'))],
    ['no note', async () => rm(join(it.target, STANDBY_FILE), { force: true })],
    ['a file without its name yet', async () => writeFile(join(it.target, CLOG_DIR, '.stdb-tmp-x'), 'x')],
    [
      'an empty segment of a server',
      async () => writeFile(join(it.target, CLOG_DIR, `${'200'.padStart(20, '0')}.stdb.log`), ''),
    ],
  ])('%s: the log goes on behind its last whole commit', async (_, leave) => {
    await leave();
    await it.followTo(249n);
    await it.scene.expectLog(it.between(0n, 249n));
    expect((await readdir(join(it.target, CLOG_DIR))).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('a log that lost what was durable', async () => {
    const path = await lastSegment();
    await truncate(path, (await stat(path)).size - 100);
    await expectRefusal(CorruptionError, /was durable up to 199/);
  });

  test('what no standby wrote is not taken away', async () => {
    await rm(join(it.target, STANDBY_FILE));
    await appendFile(await lastSegment(), new Uint8Array(5000).fill(7));
    await expectRefusal(CorruptionError, /no standby wrote it/);
  });

  test('a server has written to it', async () => {
    const commits = otherHistory(it.between(200n, 202n));
    await appendFile(await lastSegment(), Buffer.concat(commits.map(({ bytes }) => bytes)));
    await expectRefusal(UnrecoverablePointError, /ends at transaction 202/);
  });

  test('an end in the midst of an object leaves whole objects', async () => {
    const controller = new AbortController();
    const { client } = it.scene;
    let gets = 0;
    const spying = it.scene.spying(async (key, options) => {
      if (key.includes('/log/')) gets += 1;
      if (gets === 3) controller.abort(new Error('enough'));
      return await client.get(key, options);
    });
    await it.standby({ client: spying, parallelism: 1 }).run(controller.signal);
    const noted = JSON.parse(await readFile(join(it.target, STANDBY_FILE), 'utf8')) as { tx: string };
    await it.scene.expectLog(it.between(0n, BigInt(noted.tx)));
  });
});

test('a lock that is lost ends it before it writes', async () => {
  await it.store(0n, 99n);
  await it.followTo(99n);
  await it.store(100n, 120n);
  const lost = new TargetInUseError('lost');
  const running = it
    .standby({
      lock: () =>
        Promise.resolve({ check: () => Promise.reject(lost), [Symbol.asyncDispose]: () => Promise.resolve() }),
    })
    .run(new AbortController().signal);
  await expect(running).rejects.toBe(lost);
  await it.scene.expectLog(it.between(0n, 99n));
});

test('what is noted is what is read', async () => {
  await it.store(0n, 99n);
  await it.followTo(99n);
  const position = { tx: 5n, crc: 9, time: micros(7n), generation: it.generation, segment: 3n } as never;
  await writeStandbyPosition(position, { directory: it.target, system: realTargetSystem });
  expect(await readStandbyPosition(it.target)).toEqual(position);
});
