/** Invariant: each way to ask for a part of the log means one thing, and what means none is a usage error. */
import { expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { micros } from '../core/types.ts';
import { type LogQueryFlags, parseLogQuery } from './log-query.ts';

const now = micros(BigInt(Date.UTC(2026, 10, 21, 12)) * 1000n);
const noon = now;

test.each<[LogQueryFlags, ReturnType<typeof parseLogQuery>]>([
  [{}, { from: null, to: null, reducer: null, count: 20 } as const],
  [{ to: '7' }, { from: null, to: { kind: 'tx', tx: 7n }, reducer: null, count: 20 } as never],
  [{ from: '0' }, { from: { kind: 'tx', tx: 0n }, to: null, reducer: null, count: null } as never],
  [
    { from: '5', to: '5', n: '3' },
    { from: { kind: 'tx', tx: 5n }, to: { kind: 'tx', tx: 5n }, reducer: null, count: 3 } as never,
  ],
  [
    { since: '10m' },
    { from: { kind: 'time', time: noon - 600_000_000n }, to: null, reducer: null, count: null } as never,
  ],
  [
    { from: '1h ago', reducer: 'x' },
    { from: { kind: 'time', time: noon - 3_600_000_000n }, to: null, reducer: 'x', count: null } as never,
  ],
  [{ to: '2026-11-21T12:00:00Z' }, { from: null, to: { kind: 'time', time: noon }, reducer: null, count: 20 } as never],
])('%o', (flags, query) => {
  expect(parseLogQuery(flags, { now })).toEqual(query);
});

test.each<LogQueryFlags>([
  { from: '1', since: '5m' },
  { from: '9', to: '8' },
  { from: '1h ago', to: '2h ago' },
  { from: '18446744073709551616' },
  { from: 'yesterday' },
  { since: 'long' },
  { n: '0' },
  { n: '100001' },
])('%o is refused', (flags) => {
  expect(() => parseLogQuery(flags, { now })).toThrow(UsageError);
});
