/** Invariant: what is formatted is parsed to the same number, and nothing but one number and one unit is parsed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

describe('durations', () => {
  test.each([
    ['250ms', 250],
    ['1s', 1000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['30d', 2_592_000_000],
    ['0s', 0],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', '1', 's', '1 s', '-1s', '1s ', '1sec', '1S', '1h30m', '٣s', '99999999999999d'])('%j is none', (text) =>
    expect(parseDuration(text)).toBeNull(),
  );

  test('shortest exact spelling', () => {
    expect([60_000, 90_000, 86_400_000, 1001, 0].map(formatDuration)).toEqual(['1m', '90s', '1d', '1001ms', '0ms']);
  });

  test('format then parse', () => {
    fc.assert(fc.property(fc.nat(2 ** 31 - 1), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});

describe('sizes', () => {
  test.each([
    ['8MiB', 8 * 2 ** 20],
    ['96MB', 96e6],
    ['96 MB', 96e6],
    ['1GiB', 2 ** 30],
    ['0.5GiB', 2 ** 29],
    ['4096B', 4096],
  ])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', '8', 'MiB', '8M', '8mib', '8  MiB', '-8MiB', '8MiB ', '1e3B', '99999999TiB'])('%j is none', (text) =>
    expect(parseSize(text)).toBeNull(),
  );

  test('shortest exact spelling', () => {
    expect([96 * 2 ** 20, 96e6, 2 ** 30, 1, 0].map(formatSize)).toEqual(['96MiB', '96MB', '1GiB', '1B', '0B']);
  });

  test('format then parse', () => {
    fc.assert(fc.property(fc.nat(2 ** 31 - 1), (bytes) => parseSize(formatSize(bytes)) === bytes));
  });
});
