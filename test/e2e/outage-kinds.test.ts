/**
 * Invariant: in whatever way a store is away, the service asks seldom, goes on by itself within its longest wait, sends
 * what it missed in few objects and not in one for each interval, sends an object of unknown fate again unchanged, and
 * a restore equals the source.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect } from 'vitest';
import { testNeeding } from '../support/named-skip.ts';
import { OutageScene } from '../support/outage-scene.ts';
import { PEAK_BYTES_MAX, peakBytes } from '../support/peak-bytes.ts';
import { httpAnswer, s3ErrorAnswer } from '../support/raw-http-server.ts';
import { isServer, s3Server, type S3Server } from '../support/s3-server.ts';
import { requireSameBytesTwice } from '../support/same-bytes.ts';
import type { ProxyMode } from '../support/tcp-proxy.ts';

const found = await s3Server();
const ifServer = testNeeding({ missing: isServer(found) ? null : found.skip, requiredBy: 'STDB_TEST_REQUIRE_S3' });
/** For hangs: many processes run side by side. */
const TEST_MS_MAX = 120_000;
const needsS3 = (name: string, body: () => Promise<void>): void => ifServer(name, body, TEST_MS_MAX);

afterAll(async () => {
  if (isServer(found)) await found.stop();
});

const server = (): S3Server => {
  if (!isServer(found)) throw new Error(found.skip);
  return found;
};

const OUTAGE_MS = 2500;
/** Waits of 0.1 to 0.2 s, 0.2 to 0.4 s, … are at most five in that time, of the calls that are under way. */
const FAILURES_MAX = 16;

async function outage(
  scene: OutageScene,
  begin: () => Promise<void> | void,
  end: () => Promise<void> | void,
): Promise<void> {
  const failures = scene.failures();
  const requests = scene.proxy.requests;
  await begin();
  // One that is under way when it begins, and much that comes while it lasts.
  const until = performance.now() + OUTAGE_MS;
  while (performance.now() < until) {
    if (scene.growing.lastTx < 250n) await scene.growing.writeCommit();
    await delay(15);
  }
  const before = scene.stored().length;
  expect(scene.failures() - failures).toBeLessThanOrEqual(FAILURES_MAX);
  expect(scene.proxy.requests - requests).toBeLessThanOrEqual(FAILURES_MAX + 2);
  await scene.program.until(() => scene.failures() > failures, 'it to say that calls fail');
  await end();
  await scene.hasStored(scene.growing.lastTx);
  // What was under way when it began, and what has gathered since.
  expect(scene.stored().length - before).toBeLessThanOrEqual(4);
  await scene.finish();
}

type Kind = readonly [name: string, mode: ProxyMode];

const SILENT: readonly Kind[] = [
  ['takes connections and says nothing', { kind: 'hang' }],
  ['falls silent in the middle of a request', { kind: 'hang-after', bytes: 300 }],
  ['resets in the middle of a request', { kind: 'reset-request', bytes: 300 }],
  ['resets instead of an answer, after it has done what it was asked for', { kind: 'reset-response' }],
];
const SPEAKING: readonly Kind[] = [
  ['answers 503', { kind: 'answer', text: s3ErrorAnswer('503 Slow Down', 'SlowDown') }],
  ['answers 500 without a word', { kind: 'answer', text: httpAnswer({ status: '500 Internal Server Error' }) }],
  ['answers 507: full', { kind: 'answer', text: s3ErrorAnswer('507 Insufficient Storage', 'XMinioStorageFull') }],
  ['refuses what it allowed before', { kind: 'answer', text: s3ErrorAnswer('403 Forbidden', 'InvalidAccessKeyId') }],
];

async function surviveOutage([name, mode]: Kind): Promise<void> {
  try {
    await using scene = await OutageScene.open(server(), { record: true });
    await outage(
      scene,
      () => void (scene.proxy.mode = mode),
      () => void (scene.proxy.mode = { kind: 'pass' }),
    );
    const twice = requireSameBytesTwice(scene.proxy);
    if (mode.kind === 'reset-response') expect(twice).toBeGreaterThan(0);
  } catch (cause) {
    throw new Error(`a store that ${name}`, { cause });
  }
}

// Side by side, since they wait for most of their time.
describe.concurrent('a store that is away', () => {
  needsS3('a store that is silent, in the ways in which one can be', async () => {
    await Promise.all(SILENT.map(surviveOutage));
  });

  needsS3('a store that answers, but not with what was asked for', async () => {
    await Promise.all(SPEAKING.map(surviveOutage));
  });

  needsS3('a store to which no connection can be made', async () => {
    await using scene = await OutageScene.open(server());
    await outage(
      scene,
      () => scene.proxy.cut(),
      () => scene.proxy.open(),
    );
  });

  async function comeAgain(status: string): Promise<void> {
    await using scene = await OutageScene.open(server());
    const requests = scene.proxy.requests;
    scene.proxy.mode = { kind: 'answer', text: httpAnswer({ status, headers: { 'Retry-After': 3 } }) };
    await scene.growing.writeCommit();
    await scene.program.until(() => scene.proxy.requests > requests, 'a request');
    const toldAt = performance.now();
    scene.proxy.mode = { kind: 'pass' };
    await scene.growing.writeCommit();
    await scene.program.until(() => scene.proxy.requests > requests + 1, 'another request');
    expect(performance.now() - toldAt).toBeGreaterThan(2900);
    await scene.hasStored(scene.growing.lastTx);
    await scene.finish();
  }

  needsS3('a store that says when to come again is asked then, and not before', async () => {
    await Promise.all(['503 Slow Down', '429 Too Many Requests'].map(comeAgain));
  });

  /** Its attempts take 2, 2, 2, 3 and 5 s, each with its probes. */
  const SLOW_REQUESTS_MAX = 20;

  needsS3(
    'a line of a kilobyte a second: slower than a request may take at first, and yet all comes through',
    async () => {
      await using scene = await OutageScene.open(server(), {
        record: true,
        requestTimeout: '2s',
        more: ['memory: 32MiB'],
      });
      const { proxy, program, growing } = scene;
      const requests = proxy.requests;
      proxy.mode = { kind: 'throttle', bytesPerSecond: 1024 };
      while (growing.lastTx < 116n) await growing.writeCommit();
      await scene.hasStored(116n);
      expect(program.stderr).toMatch(/not through within \d+ ms, though the store answers/);
      expect(proxy.requests - requests).toBeLessThanOrEqual(SLOW_REQUESTS_MAX);
      expect(await peakBytes(program)).toBeLessThan(PEAK_BYTES_MAX);
      proxy.mode = { kind: 'pass' };
      await scene.finish();
      requireSameBytesTwice(proxy);
    },
  );
});
