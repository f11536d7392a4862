/**
 * Invariant: the commit that holds a transaction is found with any offset index or none, right or wrong: an index can
 * only make it faster.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readExpectation, vectorDirectory } from '../../test/vectors/vectors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { byteOffset, formatCrc, txOffset } from '../core/types.ts';
import { locateCommit } from './locate.ts';
import { encodeOffsetIndex } from './offset-index.ts';
import { decodeRecordPrefix } from './record-prefix.ts';
import { openSegment, type SegmentReader } from './segment-reader.ts';

async function open(path: string): Promise<SegmentReader> {
  const reader = await openSegment(diskFiles, path);
  if (reader === null) throw new Error(`${path} is gone`);
  return reader;
}

const indexOf = (path: string): Uint8Array => readFileSync(path.replace(/log$/, 'ofs'));

describe('in a real segment', () => {
  const path = join(vectorDirectory('v2-small'), 'clog/00000000000000000147.stdb.log');
  const offsetIndex = indexOf(path);
  let reader: SegmentReader;

  beforeAll(async () => {
    reader = await open(path);
  });

  afterAll(() => reader.close());

  test('every transaction is found, the same with the index and without', async () => {
    let end = 10;
    for (let tx = 147n; tx <= 299n; tx++) {
      const found = await locateCommit(reader, txOffset(tx));
      expect(found).toMatchObject({ tx, lastTx: tx, start: end });
      expect(await locateCommit(reader, txOffset(tx), { offsetIndex })).toEqual(found);
      end = found?.end ?? 0;
    }
    expect(end).toBe(await reader.plainBytes());
  });

  test('what the segment does not hold is null', async () => {
    for (const tx of [0n, 146n, 300n, 2n ** 64n - 1n]) {
      expect(await locateCommit(reader, txOffset(tx))).toBeNull();
      expect(await locateCommit(reader, txOffset(tx), { offsetIndex })).toBeNull();
    }
  });

  test('an index of any wrong entries changes nothing', async () => {
    const expected = await locateCommit(reader, txOffset(250));
    const entries = fc.array(fc.tuple(fc.bigInt({ min: 1n, max: 320n }), fc.nat({ max: 60_000 })), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(entries, async (pairs) => {
        const lying = pairs.map(([tx, at]) => ({ tx: txOffset(tx), at: byteOffset(at) }));
        lying.sort((a, b) => Number(a.tx - b.tx) || a.at - b.at);
        expect(await locateCommit(reader, txOffset(250), { offsetIndex: encodeOffsetIndex(lying) })).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  test('an aborted search ends with the reason', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(locateCommit(reader, txOffset(250), { signal })).rejects.toThrow('enough');
  });
});

test('the index is used: where it leads past a damaged commit, what follows is found', async () => {
  const path = join(vectorDirectory('v2-damaged/flip-byte-in-last'), 'clog/00000000000000000000.stdb.log');
  await using reader = await open(path);
  expect(await locateCommit(reader, txOffset(119))).toBeNull();
  expect(await locateCommit(reader, txOffset(119), { offsetIndex: indexOf(path) })).toMatchObject({ tx: 119n });
  expect(await locateCommit(reader, txOffset(46), { offsetIndex: indexOf(path) })).toBeNull();
});

test('a transaction within a commit of several finds that commit, with its first record', async () => {
  await using reader = await open(join(vectorDirectory('v2-batched/v1'), 'clog/00000000000000000044.stdb.log'));
  const expected = readExpectation('v2-batched/v1').commits?.find(({ min_tx }) => min_tx === 68);
  for (const tx of [68, 70, 75]) {
    const found = await locateCommit(reader, txOffset(tx));
    expect(found).toMatchObject({ tx: 68n, count: 8, lastTx: 75n, epoch: 1n });
    if (found === null) continue;
    expect(formatCrc(found.crc)).toBe(expected?.crc);
    expect(decodeRecordPrefix(found.recordPrefix)?.reducer).toBe(expected?.reducer);
  }
});

test('an empty segment holds nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'locate-'));
  try {
    writeFileSync(join(directory, '00000000000000000120.stdb.log'), '');
    await using reader = await open(join(directory, '00000000000000000120.stdb.log'));
    expect(await locateCommit(reader, txOffset(120))).toBeNull();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
