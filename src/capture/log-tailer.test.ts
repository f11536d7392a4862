// Invariant: whatever a server does to its log, the runs are whole checked commits, each once, in order, without a gap;
// where the log does not go on, the tailer waits or says why.
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { micros, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { COMMIT_BYTES_IN_MEMORY_MAX, type CommitRun } from './commit-run.ts';
import { beginningOf, LogTailer } from './log-tailer.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stdb-tailer-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const segment = (tx: number): string => join(directory, formatSegmentName(txOffset(tx)));
const header = encodeSegmentHeader({ version: 1 });
const commit = (tx: number, bytes = 100): Uint8Array =>
  encodeCommit({ version: 1, tx: txOffset(tx), records: new Uint8Array(bytes).fill(tx % 251) });
const commits = (from: number, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => commit(from + index)));

const tailerFrom = (tx: number, where = directory): LogTailer =>
  new LogTailer({ files: diskFiles, directory: where, from: beginningOf(txOffset(tx), micros(0n)) });

async function readAll(tailer: LogTailer): Promise<CommitRun[]> {
  const all: CommitRun[] = [];
  for (;;) {
    const before = all.length;
    for await (const run of tailer.runs({ plainBytesMax: 1 << 30 })) all.push(run);
    if (all.length === before) return all;
  }
}

function expectUnbroken(runs: readonly CommitRun[], { from, to }: { from: number; to: number }): void {
  let next = BigInt(from);
  for (const run of runs) {
    expect(run.first).toBe(next);
    next = run.last + 1n;
  }
  expect(next - 1n).toBe(BigInt(to));
}

describe('real logs', () => {
  test.each([
    ['v1.2', 8],
    ['v2-small', 299],
    ['v2-compressed', 299],
    ['v2-batched/v1', 119],
    ['v2-batched/v0', 119],
  ] as const)('%s is read whole', async (name, last) => {
    await using tailer = tailerFrom(0, join(vectorDirectory(name), 'clog'));
    expectUnbroken(await readAll(tailer), { from: 0, to: last });
    expect(tailer.stall?.kind).toBe('end');
    expect(await tailer.hasGrown()).toBe(false);
  });
});

describe('a growing log', () => {
  test('appends in any split, with rotations, are read once and whole', async () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: 300 }), rotate: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        await rm(directory, { recursive: true, force: true });
        directory = await mkdtemp(join(tmpdir(), 'stdb-tailer-'));
        await using tailer = tailerFrom(0);
        const runs: CommitRun[] = [];
        let current = 0;
        let next = 0;
        let pending: Buffer = Buffer.from(header);
        for (const { bytes, rotate } of steps) {
          if (rotate && next > current) {
            await appendFile(segment(current), pending);
            current = next;
            pending = Buffer.from(header);
          }
          pending = Buffer.concat([pending, commit(next)]);
          next += 1;
          await appendFile(segment(current), pending.subarray(0, bytes));
          pending = pending.subarray(bytes);
          runs.push(...(await readAll(tailer)));
        }
        await appendFile(segment(current), pending);
        runs.push(...(await readAll(tailer)));
        expectUnbroken(runs, { from: 0, to: next - 1 });
      }),
      { numRuns: 60 },
    );
  });

  test('growth is seen by size, by a successor and by a replaced file', async () => {
    await writeFile(segment(0), Buffer.concat([header, commits(0, 3)]));
    await using tailer = tailerFrom(0);
    await readAll(tailer);
    expect(await tailer.hasGrown()).toBe(false);
    await appendFile(segment(0), commit(3));
    expect(await tailer.hasGrown()).toBe(true);
    await readAll(tailer);
    expect(await tailer.hasGrown()).toBe(false);
    await writeFile(segment(4), header);
    expect(await tailer.hasGrown()).toBe(false);
    await appendFile(segment(4), commit(4));
    expect(await tailer.hasGrown()).toBe(true);
    expectUnbroken(await readAll(tailer), { from: 4, to: 4 });
  });

  test('an empty successor is waited for, and the segment before it may grow again', async () => {
    await writeFile(segment(0), Buffer.concat([header, commits(0, 3)]));
    await writeFile(segment(3), header);
    await using tailer = tailerFrom(0);
    expectUnbroken(await readAll(tailer), { from: 0, to: 2 });
    await rm(segment(3));
    await appendFile(segment(0), commit(3));
    await writeFile(segment(4), Buffer.concat([header, commit(4)]));
    expectUnbroken(await readAll(tailer), { from: 3, to: 4 });
  });

  test('garbage at the end of a segment with a successor is passed over', async () => {
    await writeFile(segment(0), Buffer.concat([header, commits(0, 3), commit(3).subarray(0, 60)]));
    await using tailer = tailerFrom(0);
    expectUnbroken(await readAll(tailer), { from: 0, to: 2 });
    expect(tailer.stall?.kind).toBe('in-progress');
    await writeFile(segment(3), Buffer.concat([header, commit(3)]));
    expectUnbroken(await readAll(tailer), { from: 3, to: 3 });
  });

  test('a plain file that took the place of another is looked at before it is read on', async () => {
    const all = Buffer.concat([header, commits(0, 6)]);
    const part = header.byteLength + 3 * commit(0).byteLength;
    await writeFile(segment(0), all.subarray(0, part));
    await using tailer = tailerFrom(0);
    expectUnbroken(await readAll(tailer), { from: 0, to: 2 });
    await writeFile(`${segment(0)}.new`, all);
    await rename(`${segment(0)}.new`, segment(0));
    // Only a compressed file takes a segment's place by itself: what was stored is compared anew.
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
    await using anew = new LogTailer({ files: diskFiles, directory, from: tailer.position });
    expectUnbroken(await readAll(anew), { from: 3, to: 5 });
  });
});

describe('another history under the same names', () => {
  /** As long as `commit`, with other bytes. */
  const other = (tx: number): Uint8Array =>
    encodeCommit({ version: 1, tx: txOffset(tx), records: new Uint8Array(100).fill(255 - (tx % 251)) });
  const others = Buffer.concat([header, ...[0, 1, 2, 3, 4].map(other)]);
  const start = async (): Promise<LogTailer> => {
    await writeFile(segment(0), Buffer.concat([header, commits(0, 3)]));
    const tailer = tailerFrom(0);
    expectUnbroken(await readAll(tailer), { from: 0, to: 2 });
    return tailer;
  };

  test('regression: in a file that took the place of the one before', async () => {
    await using tailer = await start();
    await writeFile(`${segment(0)}.new`, others);
    await rename(`${segment(0)}.new`, segment(0));
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
    expect(tailer.position.nextTx).toBe(3n);
  });

  test('regression: in the same file, cut back and grown again between two looks', async () => {
    await using tailer = await start();
    await truncate(segment(0), 0);
    await appendFile(segment(0), others);
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
  });
});

describe('long commits', () => {
  test('longer than a run: in memory; longer than memory: by a pass over the file, and the same bytes', async () => {
    const middle = commit(0, 1 << 20);
    const long = commit(1, COMMIT_BYTES_IN_MEMORY_MAX + 1);
    await writeFile(segment(0), Buffer.concat([header, middle, long, commit(2)]));
    await using tailer = tailerFrom(0);
    const runs: [boolean, Buffer][] = [];
    for await (const run of tailer.runs({ plainBytesMax: 1 << 30 })) {
      const parts: Uint8Array[] = [];
      for await (const part of run.parts()) parts.push(part);
      runs.push([run.inMemory, Buffer.concat(parts)]);
    }
    expect(runs.map(([inMemory]) => inMemory)).toEqual([true, false, true]);
    expect(runs[1]?.[1].equals(long)).toBe(true);
    expect(tailer.position.nextTx).toBe(3n);
  });

  test('a long commit with a flipped byte is not yielded', async () => {
    const long = commit(1, COMMIT_BYTES_IN_MEMORY_MAX + 1);
    long[5_000_000] = 255 - (long[5_000_000] as number);
    await writeFile(segment(0), Buffer.concat([header, commit(0), long]));
    await using tailer = tailerFrom(0);
    expectUnbroken(await readAll(tailer), { from: 0, to: 0 });
    expect(tailer.stall?.kind).toBe('bad-crc');
  });
});

describe('a log that does not go on', () => {
  const start = async (): Promise<LogTailer> => {
    await writeFile(segment(0), Buffer.concat([header, commits(0, 3)]));
    const tailer = tailerFrom(0);
    await readAll(tailer);
    return tailer;
  };

  test('a missing segment is a hole', async () => {
    await using tailer = await start();
    await writeFile(segment(5), Buffer.concat([header, commit(5)]));
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'CORRUPTION', facts: { tx: 3n, successor: 5n } });
  });

  test('a bad commit before later ones is damage, and its byte is named', async () => {
    const bad = commit(3);
    bad[40] = 255 - (bad[40] as number);
    await using tailer = await start();
    await appendFile(segment(0), bad);
    await writeFile(segment(5), Buffer.concat([header, commit(5)]));
    const byte = header.byteLength + 3 * commit(0).byteLength;
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'CORRUPTION', facts: { byte } });
  });

  test('a log that was cut back', async () => {
    await using tailer = await start();
    await truncate(segment(0), header.byteLength + commit(0).byteLength);
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
  });

  test('a log that was removed', async () => {
    await using tailer = await start();
    await rm(segment(0));
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
  });

  test('a segment of an unknown version', async () => {
    await using tailer = await start();
    await writeFile(segment(3), Buffer.concat([Buffer.from('(ds)^2\x09\0\0\0', 'latin1'), commit(3)]));
    await expect(readAll(tailer)).rejects.toMatchObject({ code: 'UNSUPPORTED_FORMAT' });
  });
});
