/**
 * Invariant: over real directories, whole, in chunks and byte by byte, a reader of the longest valid prefix finds what
 * SpacetimeDB's own crates find: the same commits, checksums and times up to the same place.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type Damage,
  DAMAGES,
  type ExpectedLog,
  type ReplicaVector,
  readExpectation,
  readServerExpectation,
  vectorDirectory,
} from '../../test/vectors/vectors.ts';
import { UnsupportedFormatError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { byteOffset, formatCrc, type TxOffset } from '../core/types.ts';
import type { CommitFacts } from './commit-facts.ts';
import { CommitScanner } from './commit-scanner.ts';
import { decodeRecordPrefix } from './record-prefix.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { openSegment, type SegmentReader } from './segment-reader.ts';
import { listSegments } from './segments.ts';
import { classifyTail, type TailClass } from './tail.ts';

interface KnownCommit extends CommitFacts {
  readonly segment: TxOffset;
  readonly reducer: string | null;
}

interface Walk {
  readonly commits: KnownCommit[];
  /** Of each segment that was scanned. */
  readonly tails: TailClass[];
  readonly plainBytes: number[];
  readonly compressed: boolean[];
  /** Segments that begin elsewhere than the log ends: the walk stops before the first such. */
  readonly unreached: TxOffset[];
  readonly time: bigint;
}

async function walk(clogDir: string, chunkBytes: number): Promise<Walk> {
  const segments = await listSegments(diskFiles, clogDir);
  const found: Walk = { commits: [], tails: [], plainBytes: [], compressed: [], unreached: [], time: 0n };
  let before: CommitScanner | null = null;
  let time = 0n;
  for (const [index, entry] of segments.entries()) {
    if (before !== null && entry.tx !== before.nextTx) {
      return { ...found, time, unreached: segments.slice(index).map(({ tx }) => tx) };
    }
    const hasSuccessor = segments.slice(index + 1).some(({ size }) => size > SEGMENT_HEADER_BYTES);
    const reader = await openSegment(diskFiles, entry).catch((error: unknown) => {
      if (error instanceof UnsupportedFormatError) return 'unsupported-version' as const;
      throw error;
    });
    if (reader === 'unsupported-version') {
      found.tails.push(classifyTail(reader, { hasSuccessor }));
      continue;
    }
    if (reader === null) continue;
    await using _ = reader;
    if (reader.version === null) continue;
    before = await scanSegment(reader, { chunkBytes, before, found, firstTx: entry.tx });
    time = before.time;
    found.tails.push(classifyTail(before, { hasSuccessor }));
    found.plainBytes.push(await reader.plainBytes());
    found.compressed.push(reader.compressed);
  }
  return { ...found, time };
}

async function scanSegment(
  reader: SegmentReader,
  options: { chunkBytes: number; before: CommitScanner | null; found: Walk; firstTx: TxOffset },
): Promise<CommitScanner> {
  const { chunkBytes, before, found, firstTx } = options;
  const scanner: CommitScanner = new CommitScanner({
    version: reader.version ?? 1,
    expectedTx: firstTx,
    ...(before === null ? {} : { epochBefore: before.lastEpoch ?? 0n, timeBefore: before.time }),
    onCommit: (facts) =>
      found.commits.push({
        ...facts,
        segment: reader.tx,
        reducer: decodeRecordPrefix(facts.recordPrefix)?.reducer ?? null,
      }),
  });
  const bytes = await reader.read(byteOffset(SEGMENT_HEADER_BYTES), await reader.plainBytes());
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) scanner.push(bytes.subarray(at, at + chunkBytes));
  return scanner;
}

function expectSummary(found: Walk, expected: ExpectedLog): void {
  const { commits } = found;
  const last = commits.at(-1);
  const times = commits.map(({ time }) => time).filter((time) => time !== null);
  const number = (value: bigint | undefined): number | null => (value === undefined ? null : Number(value));
  expect({
    bytes: commits.reduce((bytes, { start, end }) => bytes + end - start, 0),
    commits: commits.length,
    first: number(commits[0]?.tx),
    first_timestamp_us: number(times[0]),
    last: number(last?.lastTx),
    last_crc: last === undefined ? null : formatCrc(last.crc),
    last_timestamp_us: number(times.at(-1)),
    max_epoch: Number(commits.reduce((max, { epoch }) => (epoch > max ? epoch : max), 0n)),
    max_n: Math.max(0, ...commits.map(({ count }) => count)),
    txs: commits.reduce((sum, { count }) => sum + count, 0),
  }).toEqual({
    bytes: expected.bytes,
    commits: expected.commits,
    first: expected.first,
    first_timestamp_us: expected.first_timestamp_us,
    last: expected.last,
    last_crc: expected.last_crc,
    last_timestamp_us: expected.last_timestamp_us,
    max_epoch: expected.max_epoch,
    max_n: expected.max_n,
    txs: expected.txs,
  });
  expect(found.time).toBe(times.reduce((max, time) => (time > max ? time : max), 0n));
}

const clogOf = (name: ReplicaVector): string => join(vectorDirectory(name), 'clog');

describe.each([1, 7, 4096, 1 << 24])('in chunks of %i bytes', (chunkBytes) => {
  const sets = [
    'v1.2',
    'v2-small',
    'v2-compressed',
    'v2-batched/v1',
    'v2-batched/v0',
    'v2-batched/v0-last-too',
  ] as const;

  test.each(sets)('%s', async (name) => {
    const { log_summary: expected, commits } = readExpectation(name);
    const found = await walk(clogOf(name), chunkBytes);
    expectSummary(found, expected);
    expect(found.tails.every((tail) => tail === 'complete')).toBe(true);
    expect(found.plainBytes).toEqual(expected.segments.map((segment) => segment.logical_bytes));
    expect(found.compressed).toEqual(expected.segments.map(({ compressed }) => compressed));
    if (commits === undefined) return;
    expect(
      found.commits.map((commit) => ({
        bytes: commit.end - commit.start,
        crc: formatCrc(commit.crc),
        epoch: Number(commit.epoch),
        min_tx: Number(commit.tx),
        n: commit.count,
        reducer: commit.reducer,
        segment: Number(commit.segment),
        timestamp_us: commit.time === null ? null : Number(commit.time),
      })),
    ).toEqual(commits);
  });

  test.each(['1', '3'])('replica %s of a real server', async (replica) => {
    const found = await walk(join(vectorDirectory('server-2.8'), 'replicas', replica, 'clog'), chunkBytes);
    const expected = readServerExpectation().replicas[replica];
    expect(expected).toBeDefined();
    if (expected === undefined) return;
    expectSummary(found, expected.log);
    expect(found.plainBytes).toEqual(expected.log.segments.map((segment) => segment.logical_bytes));
    expect(found.compressed).toEqual(expected.log.segments.map(({ compressed }) => compressed));
  });
});

/** Per damage: the class of each segment's tail, and the segments that the valid log does not reach. */
const REACTIONS: Readonly<Record<Damage, { tails: TailClass[]; unreached?: bigint[] }>> = {
  'bad-crc-tail': { tails: ['complete', 'complete', 'complete', 'bad-crc'] },
  'drop-segment': { tails: ['complete'], unreached: [43n, 86n] },
  'flip-byte': { tails: ['complete', 'bad-crc'], unreached: [43n, 86n] },
  'flip-byte-after-snapshot': { tails: ['complete', 'complete', 'bad-crc'], unreached: [86n] },
  'flip-byte-in-last': { tails: ['bad-crc'] },
  fork: { tails: ['complete', 'complete', 'complete', 'complete'] },
  'header-only-tail': { tails: ['complete', 'complete', 'complete', 'complete', 'complete'] },
  'log-before-snapshot': { tails: ['complete', 'complete'] },
  'no-log': { tails: [] },
  none: { tails: ['complete', 'complete', 'complete', 'complete'] },
  'prefix-pruned': { tails: ['complete', 'complete'] },
  'stale-invalid': { tails: ['complete', 'complete'] },
  'stale-lock': { tails: ['complete', 'complete', 'complete', 'complete'] },
  'torn-first-commit': { tails: ['complete', 'complete', 'complete', 'complete', 'in-progress'] },
  'torn-tail': { tails: ['complete', 'complete', 'complete', 'in-progress'] },
  'torn-tail-in-header': { tails: ['complete', 'complete', 'complete', 'in-progress'] },
  version9: { tails: ['complete', 'complete', 'complete', 'unsupported-version'] },
  'zero-tail': { tails: ['complete', 'complete', 'complete', 'zero'] },
};

describe('damaged on purpose', () => {
  test.each(DAMAGES)('%s', async (damage) => {
    for (const chunkBytes of [1, 100, 1 << 24]) {
      const found = await walk(clogOf(`v2-damaged/${damage}`), chunkBytes);
      expectSummary(found, readExpectation(`v2-damaged/${damage}`).log_summary);
      expect(found.tails).toEqual(REACTIONS[damage].tails);
      expect(found.unreached).toEqual(REACTIONS[damage].unreached ?? []);
    }
  });
});
