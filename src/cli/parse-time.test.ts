/** Invariant: what is taken means one instant, and that one; what may mean another is refused, with what to write instead. */
import { expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { micros } from '../core/types.ts';
import { parseTimeFlag } from './parse-time.ts';
import { isoTime } from './units.ts';

const NOW = micros(1_795_246_810_000_001n);
const parse = (text: string): string => isoTime(parseTimeFlag('timestamp', text, { now: NOW }));

test.each([
  ['2026-11-21T07:40:10.123456Z', '2026-11-21T07:40:10.123456Z'],
  ['2026-11-21T07:40:10.1z', '2026-11-21T07:40:10.100000Z'],
  ['2026-11-21 07:40 Z', '2026-11-21T07:40:00.000000Z'],
  ['2026-11-21T07:40:10+01:00', '2026-11-21T06:40:10.000000Z'],
  ['2026-11-21 00:10 -05:30', '2026-11-21T05:40:00.000000Z'],
  ['2026-11-21 07:40 Europe/Berlin', '2026-11-21T06:40:00.000000Z'],
  ['2026-07-21 07:40:59.5 Europe/Berlin', '2026-07-21T05:40:59.500000Z'],
  ['2026-11-21 07:40 America/Argentina/Buenos_Aires', '2026-11-21T10:40:00.000000Z'],
  ['2026-11-21 07:40 UTC', '2026-11-21T07:40:00.000000Z'],
  ['2026-10-25 01:59 Europe/Berlin', '2026-10-24T23:59:00.000000Z'],
  ['2026-10-25 03:00 Europe/Berlin', '2026-10-25T02:00:00.000000Z'],
  ['0s ago', isoTime(NOW)],
  ['5m ago', isoTime(micros(NOW - 300_000_000n))],
  ['1d2h30m4s ago', isoTime(micros(NOW - 95_404_000_000n))],
])('%s', (text, expected) => {
  expect(parse(text)).toBe(expected);
});

test.each([
  ['2026-11-21T07:40:10', /zone/],
  ['2026-11-21 07:40', /zone/],
  ['2026-11-21', /no time/],
  ['yesterday 18:00', /no time/],
  ['1.5h ago', /no time/],
  ['5 ago', /no time/],
  ['2026-06-31T00:00:00Z', /calendar/],
  ['2026-11-21T24:00:00Z', /calendar/],
  ['2026-11-21T07:40:60Z', /calendar/],
  ['2026-11-21T07:40:10.1234567Z', /no time/],
  ['2026-11-21T07:40:10+24:00', /offset/],
  ['2026-11-21 07:40 Europe/Nowhere', /not known/],
  ['2026-03-29 02:30 Europe/Berlin', /skipped/],
  ['2026-10-25 02:30 Europe/Berlin', /twice/],
  ['1969-12-31T23:59:59Z', /1970/],
  ['99999d ago', /1970/],
])('%s is refused', (text, why) => {
  expect(() => parse(text)).toThrow(UsageError);
  expect(() => parse(text)).toThrow(why);
});
