/** Invariant: the last commit is found from an object's end whatever its length, and of a long object little is fetched. */
import { expect, test } from 'vitest';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { collect } from '../../test/support/pieces.ts';
import { Random } from '../../test/sim/random.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError } from '../core/errors.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { type LogObject, logObjectKey, type LogObjectName, makeGenerationName } from '../layout/keys.ts';
import { encodeLogObject, LOG_FRAME_PLAIN_BYTES_MAX } from '../layout/log-object.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { encodeRecord } from '../spacetimedb/record-prefix.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { readLastCommit } from './read-last-commit.ts';

/**
 * One object of 40 commits of 60 kB that cannot be compressed, and one of `lastBytes` at its end. Its frames are cut at
 * commits, as a writer does it, or anywhere.
 */
async function store(scene: RestoreScene, lastBytes: number, cutAtCommits: boolean): Promise<LogObject> {
  const random = new Random(lastBytes);
  const parts = Array.from({ length: 41 }, (_, index) => {
    const args = random.bytes(index === 40 ? lastBytes : 60_000);
    const record = encodeRecord({
      reducer: `call ${index}`,
      time: micros(1_700_000_000_000_000n + BigInt(index)),
      args,
    });
    return encodeCommit({ version: 1, tx: txOffset(index), records: record });
  });
  const [begin, last] = [parts.slice(0, 40), parts[40] as Uint8Array];
  const header = encodeSegmentHeader({ version: 1 });
  const groups = cutAtCommits
    ? [header, ...begin, ...split(last)]
    : [...split(Buffer.concat([header, ...begin, last]))];
  const body = Buffer.concat(await collect(encodeLogObject(groups, { level: 1 })));
  const name: LogObjectName = {
    generation: makeGenerationName(1, '00000001'),
    level: 0,
    segment: txOffset(0),
    first: txOffset(0),
    last: txOffset(40),
    time: micros(1_700_000_000_000_040n),
    prev: crc32cValue(0),
    crc: crc32cValue(new DataView(last.buffer, last.byteOffset).getUint32(last.byteLength - 4, true)),
  };
  const key = logObjectKey(name);
  await scene.client.put(key, body);
  return { ...name, key, size: body.byteLength };
}

function* split(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  const step = LOG_FRAME_PLAIN_BYTES_MAX;
  for (let at = 0; at < bytes.byteLength; at += step) yield bytes.subarray(at, at + step);
}

test.each([
  [100, true],
  [60_000, true],
  [300_000, true],
  [900_000, true],
  [2_500_000, true],
  [60_000, false],
])('a last commit of %i bytes, frames cut at commits: %s', async (lastBytes, cutAtCommits) => {
  await using scene = await RestoreScene.open();
  const object = await store(scene, lastBytes, cutAtCommits);
  let fetched = 0;
  const fetch = {
    client: scene.client,
    budget: new ByteBudget(16 * 1024 * 1024),
    parallelism: 4,
    signal: new AbortController().signal,
    onFetched: (bytes: number) => void (fetched += bytes),
  };
  const last = await readLastCommit({ object, cut: null }, fetch);
  expect(last).toMatchObject({ first: 40n, last: 40n, crc: object.crc, time: object.time, reducer: 'call 40' });
  if (cutAtCommits && lastBytes < 1_000_000) expect(fetched).toBeLessThan(object.size / 1.5);

  scene.flip(object.key, object.size - 420);
  await expect(readLastCommit({ object, cut: null }, fetch)).rejects.toSatisfy(
    (error) => error instanceof CorruptionError && error.facts['key'] === object.key,
  );
});
