/**
 * Invariant: an outage that goes on is told ever louder, and yet seldom: nothing of a hiccup, a warning from ten seconds
 * on, an error from five minutes on, the good news at its end; it is asked ever more seldom, and what it missed comes at
 * once when it is back. The engine over a real S3 server and a line that is cut, by a clock that runs fast.
 */
import { expect } from 'vitest';
import type { Log } from '../../src/core/log.ts';
import { destinationOf } from '../../src/daemon/destination.ts';
import { parseKey } from '../../src/layout/keys.ts';
import { fastClock } from '../support/fast-clock.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const s3 = await faultyS3();

/** Seconds in one. */
const TIMES = 150;
const OUTAGE_S = 1_000;
/** Waits of 0.1 s, doubling, up to 15 to 30 s: nine, and then one in 15 s at most. */
const ATTEMPTS_MAX = 9 + OUTAGE_S / 15;

interface Word {
  readonly level: string;
  readonly message: string;
  /** Since the store went away, by the fast clock. */
  readonly seconds: number;
}

s3.test('a store is away for longer and longer', async () => {
  await using scene = await ReplicatorScene.open();
  await using store = await s3.open({ mode: { kind: 'pass' } });
  await using far = await store.client('proxy');
  const clock = fastClock(TIMES);
  const words: Word[] = [];
  let awayMs = clock.monotonic();
  const at = (level: string) => (message: string) =>
    void words.push({ level, message, seconds: (clock.monotonic() - awayMs) / 1000 });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  const { client } = destinationOf(far, { giveUpAfterMs: null, clock, log });

  const growing = new GrowingDatabase(scene.beside('growing'), await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  while (growing.lastTx < 100n) await growing.writeCommit();
  const hoursMs = 24 * 3_600_000;
  const writer = await scene.replicator({
    client,
    clock,
    once: false,
    database: growing.directory,
    intervalMs: 1_000,
    leaseTtlMs: hoursMs,
  });
  const ended = writer.run(new AbortController().signal);
  await expect.poll(() => writer.status().stored?.tx).toBe(100n);

  words.length = 0;
  awayMs = clock.monotonic();
  await store.proxy.cut();
  while ((clock.monotonic() - awayMs) / 1000 < OUTAGE_S) {
    if (growing.lastTx < 250n) await growing.writeCommit();
    await clock.sleep(3_000);
  }
  const failed = words.filter(({ message }) => /store fail|failed; trying|have failed/.test(message));
  const [warnings, errors] = ['warn', 'error'].map((level) => failed.filter((word) => word.level === level));
  expect(failed.length).toBeLessThanOrEqual(ATTEMPTS_MAX);
  expect(failed[0]?.level).toBe('debug');
  // From ten seconds to five minutes once a minute; then once in ten minutes.
  expect(warnings?.length).toBeGreaterThanOrEqual(1);
  expect(warnings?.length).toBeLessThanOrEqual(5);
  expect(errors?.length).toBeGreaterThanOrEqual(1);
  expect(errors?.length).toBeLessThanOrEqual(2);
  expect(warnings?.[0]?.seconds).toBeGreaterThanOrEqual(10);
  expect(errors?.[0]?.seconds).toBeGreaterThanOrEqual(300);
  expect(errors?.[0]?.message).toMatch(/have failed for .*: what it lacks exists only here/);
  expect(failed.findLastIndex(({ level }) => level === 'warn')).toBeLessThan(
    failed.findIndex(({ level }) => level === 'error'),
  );

  await store.proxy.open();
  await growing.finish();
  await expect.poll(() => writer.status().stored?.tx, { timeout: 20_000 }).toBe(299n);
  expect(words.some(({ level, message }) => level === 'info' && /answers again after \d+ min/.test(message))).toBe(
    true,
  );
  writer.drain();
  await ended;
  await using direct = await store.client('direct');
  let objects = 0;
  for await (const { key } of direct.list('generations/')) objects += parseKey(key)?.kind === 'log' ? 1 : 0;
  // What was there, what was under way, and the rest, by its segments: not one for each second that was missed.
  expect(objects).toBeLessThanOrEqual(8);
});
