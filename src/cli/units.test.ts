/** Invariant: numbers for people are short and right; times are those of the store's documents. */
import { expect, test } from 'vitest';
import { micros } from '../core/types.ts';
import { ageSeconds, counted, humanAge, humanBytes, humanDuration, humanTime, isoTime } from './units.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [120 * 1024, '120 KiB'],
  [1023 * 1024, '1.0 MiB'],
  [5 * 2 ** 30, '5.0 GiB'],
  [2 ** 60, '1024 PiB'],
])('%i bytes', (bytes, text) => expect(humanBytes(bytes)).toBe(text));

test.each([
  [0, '0 ms'],
  [340.4, '340 ms'],
  [2400, '2.4 s'],
  [65_000, '1:05 min'],
  [11_110_000, '3:05:10 h'],
])('%i ms', (ms, text) => expect(humanDuration(ms)).toBe(text));

test.each([
  [0.2, 'just now'],
  [1, '1 second ago'],
  [90, '90 seconds ago'],
  [150, '2 minutes ago'],
  [7200, '2 hours ago'],
  [86_400 * 3, '3 days ago'],
  [-5, 'in 5 seconds'],
])('%f seconds', (seconds, text) => expect(humanAge(seconds)).toBe(text));

test('times', () => {
  const time = micros(BigInt(Date.UTC(2026, 10, 21, 7, 40, 10)) * 1000n + 123_456n);
  expect(isoTime(time)).toBe('2026-11-21T07:40:10.123456Z');
  expect(isoTime(micros(5n))).toBe('1970-01-01T00:00:00.000005Z');
  expect(humanTime(time)).toBe('2026-11-21 07:40:10 UTC');
  expect(ageSeconds(time, micros(time + 1_500_000n))).toBe(1.5);
  expect(ageSeconds(micros(time + 2_000_000n), time)).toBe(-2);
});

test('counts', () => {
  expect([counted(1, 'segment'), counted(0, 'segment'), counted(2, 'segment')]).toEqual([
    '1 segment',
    '0 segments',
    '2 segments',
  ]);
});
