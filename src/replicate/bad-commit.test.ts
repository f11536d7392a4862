// Invariant: a bad commit with good ones behind it is never taken for the end of the log: one pass fails, and a service
// fails or shows that it lags.
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ReplicatorScene } from '../../test/support/replicator-scene.ts';
import { systemClock } from '../core/clock.ts';
import type { ReplicatorOptions } from './replicator.ts';

const LAST = ['clog', '00000000000000000147.stdb.log'] as const;
const INDEX = ['clog', '00000000000000000147.stdb.ofs'] as const;

test('regression: one pass over a bad commit that the offset index leads past is corruption, and names the byte', async () => {
  await using scene = await ReplicatorScene.open('v2-damaged/flip-byte-in-last');
  await expect(scene.runOnce()).rejects.toMatchObject({ code: 'CORRUPTION', facts: { tx: 46n, byte: 27_670 } });
  expect((await scene.logObjects()).at(-1)?.last).toBe(45n);
});

test.each(['torn-tail', 'torn-tail-in-header', 'zero-tail', 'bad-crc-tail'] as const)(
  '%s at the very end is no corruption',
  async (damage) => {
    await using scene = await ReplicatorScene.open(`v2-damaged/${damage}`);
    const { lastError } = (await scene.runOnce()).status();
    expect(lastError).toBeNull();
  },
);

async function serveOverDamage(scene: ReplicatorScene, { withIndex }: { withIndex: boolean }) {
  const bytes = await readFile(scene.at(...LAST));
  bytes[20_000] = 255 - (bytes[20_000] ?? 0);
  await writeFile(scene.at(...LAST), bytes.subarray(0, 10_000));
  const index = await readFile(scene.at(...INDEX));
  await rm(scene.at(...INDEX));
  const one = await scene.replicator({ once: false } satisfies Partial<ReplicatorOptions>);
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while ((one.status().stored?.tx ?? 0n) < 150n) await systemClock.sleep(5);
  await appendFile(scene.at(...LAST), bytes.subarray(10_000, 25_000));
  const before = one.status().stored?.tx ?? 0n;
  while ((one.status().stored?.tx ?? 0n) === before) await systemClock.sleep(5);
  if (withIndex) await writeFile(scene.at(...INDEX), index);
  return { one, stop, running, rest: bytes.subarray(25_000) };
}

test('regression: a log that grows behind a bad commit lags', async () => {
  await using scene = await ReplicatorScene.open();
  const { one, stop, running, rest } = await serveOverDamage(scene, { withIndex: false });
  while (one.status().lagSeconds > 0) await systemClock.sleep(5);
  await appendFile(scene.at(...LAST), rest);
  while (one.status().lagSeconds < 0.5) await systemClock.sleep(5);
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});

test('regression: a service stops at a bad commit that the offset index leads past', async () => {
  await using scene = await ReplicatorScene.open();
  const { running, rest } = await serveOverDamage(scene, { withIndex: true });
  const failed = expect(running).rejects.toMatchObject({ code: 'CORRUPTION' });
  await appendFile(scene.at(...LAST), rest);
  await failed;
});
