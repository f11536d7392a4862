// Invariant: a local log agrees with what is stored only if every stored end that it still holds has the same checksum.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { crc32c } from '../core/checksum.ts';
import { diskFiles } from '../core/readable-files.ts';
import { crc32cValue, micros, type Position, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { compareWithLocalLog, readLogStart } from './local-log.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stdb-local-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const header = encodeSegmentHeader({ version: 1 });
const source = () => ({ files: diskFiles, directory });
const time = micros(7n);

/** Commits of 1, 2, 3 transactions in turn, so that not every offset is an end. */
function makeCommit(tx: number, count = 1): { bytes: Uint8Array; end: Position } {
  const bytes = encodeCommit({ version: 1, tx: txOffset(tx), count, records: Uint8Array.of(tx, count) });
  return { bytes, end: { tx: txOffset(tx + count - 1), crc: crc32c(bytes.subarray(0, -4)) } };
}

const write = (tx: number, commits: readonly { bytes: Uint8Array }[]): Promise<void> =>
  writeFile(
    join(directory, formatSegmentName(txOffset(tx))),
    Buffer.concat([header, ...commits.map(({ bytes }) => bytes)]),
  );

const one = makeCommit(0);
const two = makeCommit(1, 2);
const three = makeCommit(3, 3);
const four = makeCommit(6);
const ends = [one, two, three, four].map(({ end }) => end);

describe('compareWithLocalLog', () => {
  beforeEach(async () => {
    await write(0, [one, two]);
    await write(3, [three, four]);
  });

  test('agrees over segments, and says where reading goes on', async () => {
    const at = header.byteLength + three.bytes.byteLength;
    expect(await compareWithLocalLog(source(), ends.slice(0, 3), { time })).toEqual({
      agreement: 'agrees',
      tail: { segment: 3n, at, nextTx: 6n, crc: three.end.crc, time },
    });
  });

  test('agrees at the very end of a segment', async () => {
    expect(await compareWithLocalLog(source(), [two.end], { time })).toMatchObject({
      agreement: 'agrees',
      tail: { segment: 0n, nextTx: 3n },
    });
  });

  test.each([0, 1, 2, 3])('differs when the checksum of end %i is another one', async (index) => {
    const changed = ends.map((end, at) => (at === index ? { ...end, crc: crc32cValue(end.crc ^ 1) } : end));
    expect(await compareWithLocalLog(source(), changed, { time })).toMatchObject({ agreement: 'differs' });
  });

  test('differs when no local commit ends there', async () => {
    const inside: Position = { tx: txOffset(4), crc: three.end.crc };
    expect(await compareWithLocalLog(source(), [inside], { time })).toMatchObject({ agreement: 'differs' });
  });

  test('shorter when the log ends before', async () => {
    const beyond: Position = { tx: txOffset(9), crc: four.end.crc };
    expect(await compareWithLocalLog(source(), [...ends, beyond], { time })).toMatchObject({ agreement: 'shorter' });
  });

  test('what the log no longer holds is not compared; what follows at once is enough; later is a gap', async () => {
    await rm(join(directory, formatSegmentName(txOffset(0))));
    const wrong: Position = { ...one.end, crc: crc32cValue(1) };
    expect(await compareWithLocalLog(source(), [wrong, three.end], { time })).toMatchObject({ agreement: 'agrees' });
    expect(await compareWithLocalLog(source(), [two.end], { time })).toMatchObject({
      agreement: 'agrees',
      tail: { segment: 3n, at: header.byteLength, nextTx: 3n, crc: two.end.crc },
    });
    expect(await compareWithLocalLog(source(), [one.end], { time })).toMatchObject({ agreement: 'gap' });
  });
});

test('the start of the log is its oldest segment that is more than a header', async () => {
  expect(await readLogStart(source())).toBe(null);
  await writeFile(join(directory, formatSegmentName(txOffset(2))), header);
  expect(await readLogStart(source())).toBe(null);
  await write(5, [makeCommit(5)]);
  expect(await readLogStart(source())).toBe(5n);
});
