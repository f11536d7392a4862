/** Invariant: every storable time is written and read back exactly, text order is time order, nothing else is read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Micros, micros } from '../core/types.ts';
import {
  advanceTime,
  formatKeyTime,
  formatTimestamp,
  isStorableTime,
  parseKeyTime,
  parseTimestamp,
  TIME_MAX,
  TIME_MIN,
} from './time.ts';

const time = fc.bigInt({ min: TIME_MIN, max: TIME_MAX }).map(micros);
const order = <T>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

describe('times as text', () => {
  test('come back, and sort as they are', () => {
    fc.assert(
      fc.property(time, time, (a, b) => {
        expect(parseTimestamp(formatTimestamp(a))).toBe(a);
        expect(parseKeyTime(formatKeyTime(a))).toBe(a);
        expect(order(formatKeyTime(a), formatKeyTime(b))).toBe(order(a, b));
      }),
    );
  });

  test('golden', () => {
    const at = parseTimestamp('2026-11-21T07:40:10.123456Z');
    expect(at).toBe(1_795_246_810_123_456n);
    expect(formatKeyTime(at as Micros)).toBe('20261121T074010.123456Z');
    expect(formatKeyTime(TIME_MIN)).toBe('19700101T000000.000000Z');
    expect(formatTimestamp(TIME_MAX)).toBe('9999-12-31T23:59:59.999999Z');
    expect(() => formatTimestamp(micros(TIME_MAX + 1n))).toThrow();
    expect(() => formatKeyTime(micros(-1n))).toThrow();
  });

  test.for([
    '2026-02-29T00:00:00.000000Z',
    '2026-13-01T00:00:00.000000Z',
    '2026-00-01T00:00:00.000000Z',
    '2026-06-31T00:00:00.000000Z',
    '2026-06-30T24:00:00.000000Z',
    '2026-06-30T23:60:00.000000Z',
    '2026-06-30T23:59:60.000000Z',
    '1969-12-31T23:59:59.999999Z',
    '0070-01-01T00:00:00.000000Z',
    '2026-06-30T23:59:59.00000Z',
    '2026-06-30T23:59:59.000000',
    '2026-06-30t23:59:59.000000Z',
    ' 2026-06-30T23:59:59.000000Z',
    '2026-06-30T23:59:59.000000Z\n',
    '２026-06-30T23:59:59.000000Z',
  ])('%j is none', (text) => {
    expect(parseTimestamp(text)).toBeNull();
    expect(parseKeyTime(text.replaceAll(/[-:]/g, ''))).toBeNull();
  });
});

test('a time in a line never falls, and only storable times move it', () => {
  fc.assert(
    fc.property(time, fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(micros)), (before, next) => {
      const after = advanceTime(before, next);
      expect(after >= before).toBe(true);
      expect(after).toBe(next !== null && isStorableTime(next) && next > before ? next : before);
    }),
  );
});
