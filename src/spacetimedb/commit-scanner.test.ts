/**
 * Invariant: the scanner's outcome depends on the bytes alone, not on how they are split; its end is the longest prefix
 * of whole, good, continuous commits; no bytes make it throw.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteOffset, micros, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import { encodeCommit } from './commit.ts';
import type { CommitFacts } from './commit-facts.ts';
import { CommitScanner, type CommitScannerOptions } from './commit-scanner.ts';
import { decodeRecordPrefix, encodeRecord, TIME_MAX } from './record-prefix.ts';
import type { LogVersion } from './segment-header.ts';

type Options = Omit<CommitScannerOptions, 'onCommit'>;

/** Everything that a scan says. */
function scan(parts: Iterable<Uint8Array>, options: Options) {
  const facts: CommitFacts[] = [];
  const scanner = new CommitScanner({
    ...options,
    onCommit: (commit) => facts.push({ ...commit, recordPrefix: Uint8Array.from(commit.recordPrefix) }),
  });
  for (const part of parts) scanner.push(part);
  const { end, nextTx, lastTx, lastCrc, lastEpoch, time, commits, problem, pendingBytes } = scanner;
  return { end, nextTx, lastTx, lastCrc, lastEpoch, time, commits, problem, pendingBytes, facts };
}

function* split(bytes: Uint8Array, sizes: readonly number[]): Iterable<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.byteLength; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.slice(at, at + size);
    at += size;
  }
}

interface PlainCommit {
  readonly count: number;
  readonly epochStep: number;
  readonly time: bigint | null;
  readonly body: Uint8Array;
}

const anyCommit: fc.Arbitrary<PlainCommit> = fc.record({
  count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 0xffff })),
  epochStep: fc.oneof(fc.constant(0), fc.nat({ max: 0xffff_ffff })),
  time: fc.option(
    fc.oneof(
      fc.bigInt({ min: 1_700_000_000_000_000n, max: 1_800_000_000_000_000n }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.constantFrom(0n, -1n, TIME_MAX, TIME_MAX + 1n, 2n ** 53n, 2n ** 53n + 1n),
    ),
  ),
  body: fc.uint8Array({ maxLength: 500 }),
});

const isValidTime = (time: bigint | null): time is bigint => time !== null && time >= 0n && time <= TIME_MAX;

/** The commits' bytes, and by a straight computation in bigint what a scan must say of each. */
function writeLog(commits: readonly PlainCommit[], { version, first }: { version: LogVersion; first: TxOffset }) {
  let tx: bigint = first;
  let epoch = 0n;
  let time = 0n;
  const written = commits.map(({ count, epochStep, time: own, body }) => {
    if (version === 1) epoch += BigInt(epochStep);
    const records =
      own === null ? Uint8Array.of(0, ...body) : encodeRecord({ reducer: 'r', time: micros(own), args: body });
    const bytes = encodeCommit({ version, tx: txOffset(tx), epoch, count, records });
    const expected = { tx, count, lastTx: tx + BigInt(count) - 1n, epoch, time: isValidTime(own) ? own : null };
    if (isValidTime(own) && own > time) time = own;
    tx += BigInt(count);
    return { bytes, expected, greatest: time };
  });
  return { bytes: Buffer.concat(written.map((commit) => commit.bytes)), written, nextTx: tx, time, epoch };
}

const anyFirst = fc
  .oneof(
    fc.constantFrom(0n, 1n, 2n ** 32n - 2n, 2n ** 53n - 1n, 2n ** 53n, U64_MAX - 600_000n),
    fc.bigInt({ min: 0n, max: U64_MAX - 600_000n }),
  )
  .map(txOffset);
const anyVersion = fc.constantFrom<LogVersion>(0, 1);
const anyLog = fc.record({ version: anyVersion, first: anyFirst, commits: fc.array(anyCommit, { maxLength: 8 }) });
const anySizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 2000 })), {
  minLength: 1,
  maxLength: 6,
});

describe('a good log', () => {
  test('is told commit by commit, above 2^32 and 2^53 as well', () => {
    fc.assert(
      fc.property(anyLog, ({ version, first, commits }) => {
        const log = writeLog(commits, { version, first });
        const outcome = scan([log.bytes], { version, expectedTx: first });
        expect(outcome).toMatchObject({
          end: 10 + log.bytes.byteLength,
          nextTx: log.nextTx,
          lastTx: commits.length === 0 ? null : log.nextTx - 1n,
          lastEpoch: commits.length === 0 ? null : log.epoch,
          time: log.time,
          commits: commits.length,
          problem: null,
          pendingBytes: 0,
        });
        expect(outcome.facts.map(({ tx, count, lastTx, epoch, time }) => ({ tx, count, lastTx, epoch, time }))).toEqual(
          log.written.map(({ expected }) => expected),
        );
        let at = 10;
        for (const [index, { start, end }] of outcome.facts.entries()) {
          expect(start).toBe(at);
          at += log.written[index]?.bytes.byteLength ?? 0;
          expect(end).toBe(at);
        }
      }),
    );
  });

  test('is the same whole, in any chunks and byte by byte', () => {
    fc.assert(
      fc.property(anyLog, anySizes, fc.nat(), ({ version, first, commits }, sizes, cut) => {
        const { bytes } = writeLog(commits, { version, first });
        const some = bytes.subarray(0, bytes.byteLength === 0 ? 0 : cut % (bytes.byteLength + 1));
        const options: Options = { version, expectedTx: first, at: byteOffset(77), timeBefore: micros(5n) };
        const whole = scan([some], options);
        expect(whole.end + whole.pendingBytes).toBe(77 + some.byteLength);
        expect(scan(split(some, sizes), options)).toEqual(whole);
        expect(scan(split(some, [1]), options)).toEqual(whole);
      }),
      { numRuns: 60 },
    );
  });
});

describe('damage', () => {
  test('of any one bit is found, and what stands before it is kept', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(), anySizes, ({ version, first, commits }, bit, sizes) => {
        const { bytes, written } = writeLog(commits, { version, first });
        fc.pre(bytes.byteLength > 0);
        const index = (bit >> 3) % bytes.byteLength;
        bytes[index] = (bytes[index] as number) ^ (1 << (bit & 7));
        const outcome = scan([bytes], { version, expectedTx: first });
        let before = 0;
        for (const commit of written) {
          if (before + commit.bytes.byteLength > index) break;
          before += commit.bytes.byteLength;
        }
        expect(outcome.end).toBe(10 + before);
        expect(outcome.problem !== null || outcome.pendingBytes > 0).toBe(true);
        expect(scan(split(bytes, sizes), { version, expectedTx: first })).toEqual(outcome);
      }),
    );
  });

  test('of any other kind never throws, and is the same in any split', () => {
    const anyBytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(anyVersion, anyFirst, anyBytes, anySizes, (version, expectedTx, bytes, sizes) => {
        const whole = scan([bytes], { version, expectedTx });
        expect(scan(split(bytes, sizes), { version, expectedTx })).toEqual(whole);
      }),
    );
  });
});

const one = (tx: bigint, more: Partial<Parameters<typeof encodeCommit>[0]> = {}): Uint8Array =>
  encodeCommit({ version: 1, tx: txOffset(tx), records: Buffer.from('records'), ...more });

const flipped = (bytes: Uint8Array, index: number): Uint8Array => bytes.with(index, (bytes[index] as number) ^ 1);

const PROBLEMS: readonly [what: string, kind: string, bytes: Uint8Array][] = [
  ['never-written space', 'zero', new Uint8Array(22)],
  ['a flipped bit in the records', 'bad-crc', flipped(one(8n, { epoch: 2n ** 32n }), 25)],
  ['a flipped bit in the checksum', 'bad-crc', flipped(one(8n, { epoch: 2n ** 32n }), one(8n).byteLength - 1)],
  ['a later commit', 'out-of-order', one(9n)],
  ['the same commit once more', 'out-of-order', one(7n)],
  ['another commit of the same offset', 'out-of-order', one(7n, { records: Buffer.from('other') })],
  ['the same low half and another high half', 'out-of-order', one(8n + 2n ** 32n)],
  ['a lower epoch', 'epoch-backwards', one(8n, { epoch: 2n })],
  ['a lower epoch with a higher low half', 'epoch-backwards', one(8n, { epoch: 2n ** 32n - 1n })],
  ['no transactions', 'bad-length', one(8n, { epoch: 2n ** 32n, count: 0 })],
];

describe('a problem', () => {
  const start = one(7n, { epoch: 2n ** 32n });

  test.each(PROBLEMS)('%s: %s', (_, kind, bytes) => {
    const problem = { kind, at: 10 + start.byteLength, tx: 8n };
    const good = one(8n, { epoch: 2n ** 32n });
    for (const sizes of [[1], [7], [1000]]) {
      const outcome = scan(split(Buffer.concat([start, bytes, good]), sizes), { version: 1, expectedTx: txOffset(7) });
      expect(outcome).toMatchObject({ problem, commits: 1, end: problem.at, nextTx: 8n, lastTx: 7n, pendingBytes: 0 });
    }
  });

  test('offsets that would pass u64', () => {
    const bytes = encodeCommit({ version: 1, tx: txOffset(U64_MAX), records: new Uint8Array(0) });
    const outcome = scan([bytes], { version: 1, expectedTx: txOffset(U64_MAX) });
    expect(outcome.problem).toEqual({ kind: 'bad-length', at: 10, tx: U64_MAX });
  });

  test('an epoch below that of the segment before', () => {
    const options: Options = { version: 1, expectedTx: txOffset(8), epochBefore: 3n };
    expect(scan([one(8n, { epoch: 2n })], options).problem?.kind).toBe('epoch-backwards');
    expect(scan([one(8n, { epoch: 3n })], options).problem).toBeNull();
  });

  test('is forgotten by rewind, and the scan goes on at its end', () => {
    const scanner = new CommitScanner({ version: 1, expectedTx: txOffset(7) });
    scanner.push(Buffer.concat([one(7n), new Uint8Array(100)]));
    expect(scanner.problem?.kind).toBe('zero');
    scanner.rewind();
    expect(scanner.problem).toBeNull();
    const next = one(8n);
    scanner.push(next.subarray(0, 30));
    expect(scanner.pendingBytes).toBe(30);
    scanner.rewind();
    scanner.push(next);
    expect(scanner).toMatchObject({ commits: 2, nextTx: 9n, problem: null, pendingBytes: 0 });
    expect(scanner.end).toBe(10 + one(7n).byteLength + next.byteLength);
  });
});

describe('time', () => {
  const timed = (tx: bigint, time: bigint): Uint8Array =>
    one(tx, { records: encodeRecord({ reducer: 'r', time: micros(time) }) });

  test('never falls, and starts at what is given', () => {
    const log = Buffer.concat([timed(0n, 50n), timed(1n, 40n), one(2n), timed(3n, TIME_MAX + 1n), timed(4n, -1n)]);
    const outcome = scan([log], { version: 1, expectedTx: txOffset(0), timeBefore: micros(45n) });
    expect(outcome.time).toBe(50n);
    expect(outcome.facts.map(({ time }) => time)).toEqual([50n, 40n, null, null, null]);
    expect(scan([log], { version: 1, expectedTx: txOffset(0), timeBefore: micros(60n) }).time).toBe(60n);
    expect(scan([], { version: 1, expectedTx: txOffset(0) }).time).toBe(0n);
  });

  test('goes up to the end of the year 9999', () => {
    expect(scan([timed(0n, TIME_MAX)], { version: 1, expectedTx: txOffset(0) }).time).toBe(TIME_MAX);
  });
});

test('a commit far longer than a chunk is checked as it passes, and its reducer is known', () => {
  const args = new Uint8Array(3_000_000).map((_, index) => index % 251);
  const records = encodeRecord({ reducer: 'import', time: micros(9n), args });
  const bytes = Buffer.concat([one(0n), one(1n, { records }), one(2n)]);
  const outcome = scan(split(bytes, [65_536]), { version: 1, expectedTx: txOffset(0) });
  expect(outcome).toMatchObject({ commits: 3, time: 9n, problem: null, end: 10 + bytes.byteLength });
  expect(decodeRecordPrefix(outcome.facts[1]?.recordPrefix ?? new Uint8Array(0))?.reducer).toBe('import');
  bytes[2_000_000] = (bytes[2_000_000] as number) ^ 16;
  const damaged = scan(split(bytes, [65_536]), { version: 1, expectedTx: txOffset(0) });
  expect(damaged).toMatchObject({ commits: 1, problem: { kind: 'bad-crc', tx: 1n }, pendingBytes: 0 });
});
