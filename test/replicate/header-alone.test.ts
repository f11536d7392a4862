// Invariant: a log of ten bytes is called empty only where these are a header that is known: what a longer file of that
// kind is refused for is not waited out in silence.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

const KNOWN = encodeSegmentHeader({ version: 1 });
const newer = KNOWN.map((byte, index) => (index === 6 ? 9 : byte));
const garbage = Buffer.alloc(10, 0x55);

async function sceneOf(segment: Uint8Array): Promise<ReplicatorScene> {
  const scene = await ReplicatorScene.open();
  await rm(scene.database, { recursive: true });
  await mkdir(scene.at('clog'), { recursive: true });
  await writeFile(scene.at('clog', '00000000000000000000.stdb.log'), segment);
  return scene;
}

test.each([
  ['a known header', KNOWN, 'CONFIGURATION'],
  ['fewer bytes than a header', newer.subarray(0, 9), 'CONFIGURATION'],
  ['a version that is not known', newer, 'UNSUPPORTED_FORMAT'],
  ['no header at all', garbage, 'CORRUPTION'],
])('one pass over a first segment of ten bytes: %s', async (_, bytes, code) => {
  await using alone = await sceneOf(bytes);
  await alone.runOnceFailing(code);
  // The same code where commits would follow.
  if (bytes.byteLength < 10 || bytes === KNOWN) return;
  await using longer = await sceneOf(Buffer.concat([bytes, Buffer.alloc(50, 7)]));
  await longer.runOnceFailing(code);
});

test('a service says so too, and waits for a header alone', async () => {
  await using scene = await sceneOf(newer);
  const one = await scene.replicator({ once: false });
  await expect(one.run(new AbortController().signal)).rejects.toThrow('version 9');
  await writeFile(scene.at('clog', '00000000000000000000.stdb.log'), KNOWN);
  const waiting = await scene.replicator({ once: false });
  const running = waiting.run(new AbortController().signal);
  await systemClock.sleep(30);
  expect(waiting.status().state).toBe('waiting');
  waiting.drain();
  await running;
});
