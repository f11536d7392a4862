// Invariant: a bad commit with good ones behind it is never taken for the end of the log: one pass fails, and a service
// begins anew at a snapshot behind it, or says that it waits for one.
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

/** Before the commit of the snapshot at 180, and behind it. */
const BEFORE_SNAPSHOT = { first: 2_000, bad: 5_000, more: 8_000 };
const BEHIND_SNAPSHOT = { first: 10_000, bad: 20_000, more: 25_000 };

interface Damage {
  readonly withIndex: boolean;
  /** Bytes of the segment that stand at first; the bad one; those that stand when the service waits there. */
  readonly at: typeof BEFORE_SNAPSHOT;
}

async function serveOverDamage(scene: ReplicatorScene, { withIndex, at }: Damage) {
  const bytes = await readFile(scene.at(...LAST));
  bytes[at.bad] = 255 - (bytes[at.bad] ?? 0);
  await writeFile(scene.at(...LAST), bytes.subarray(0, at.first));
  const index = await readFile(scene.at(...INDEX));
  await rm(scene.at(...INDEX));
  const one = await scene.replicator({ once: false } satisfies Partial<ReplicatorOptions>);
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while ((one.status().stored?.tx ?? 0n) < 150n) await systemClock.sleep(5);
  await appendFile(scene.at(...LAST), bytes.subarray(at.first, at.more));
  const before = one.status().stored?.tx ?? 0n;
  while ((one.status().stored?.tx ?? 0n) === before) await systemClock.sleep(5);
  if (withIndex) await writeFile(scene.at(...INDEX), index);
  return { one, stop, running, rest: bytes.subarray(at.more) };
}

test('a bad commit is found without an offset index as well', async () => {
  await using scene = await ReplicatorScene.open();
  const { one, stop, running, rest } = await serveOverDamage(scene, { withIndex: false, at: BEFORE_SNAPSHOT });
  await appendFile(scene.at(...LAST), rest);
  while (one.status().stored?.tx !== 299n) await systemClock.sleep(5);
  expect(one.status()).toMatchObject({ generationReason: 'damaged', damage: { file: LAST[1] } });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});

test('regression: a service says where the log is bad and begins anew at the snapshot behind it', async () => {
  await using scene = await ReplicatorScene.open();
  const { one, stop, running, rest } = await serveOverDamage(scene, { withIndex: true, at: BEFORE_SNAPSHOT });
  const bad = one.status().stored?.tx ?? 0n;
  await appendFile(scene.at(...LAST), rest);
  while (one.status().stored?.tx !== 299n || one.status().newestSnapshot !== 180n) await systemClock.sleep(5);
  expect(one.status()).toMatchObject({
    state: 'streaming',
    generationReason: 'damaged',
    generationsBegun: { first: 1, damaged: 1 },
    damage: { file: LAST[1], tx: bad + 1n },
  });
  expect(await scene.generation()).toMatchObject({ reason: 'damaged', parent: null });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});

test('a service waits for a snapshot where there is none behind the damage, and says so', async () => {
  await using scene = await ReplicatorScene.open();
  const { one, stop, running, rest } = await serveOverDamage(scene, { withIndex: true, at: BEHIND_SNAPSHOT });
  await appendFile(scene.at(...LAST), rest);
  while (one.status().damage === null) await systemClock.sleep(5);
  while (!(await scene.head()).released) await systemClock.sleep(5);
  expect(one.status()).toMatchObject({
    state: 'starting',
    lastError: { code: 'CORRUPTION' },
    generationReason: 'first',
  });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});
