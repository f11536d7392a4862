/**
 * Points in time as people write them, taken only where they mean one instant: with a zone, or as an age.
 *
 *   2026-11-21T07:40:10.123456Z · 2026-11-21 07:40 +01:00 · 2026-11-21 07:40 Europe/Berlin · 5m ago · 2h30m ago
 */
import { UsageError } from '../core/errors.ts';
import { type Micros, micros } from '../core/types.ts';

const ABSOLUTE =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt]| +)(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)? *(Z|z|[+-]\d{2}:\d{2}|[A-Za-z]\w*(?:[/+-]\w+)*)?$/;
const AGE = /^((?:\d{1,9}(?:d|h|m|s))+) +ago$/;
const AGE_PART = /(\d+)([dhms])/g;
const OFFSET = /^([+-])(\d{2}):(\d{2})$/;
const UNIT_SECONDS: Readonly<Record<string, bigint>> = { d: 86_400n, h: 3_600n, m: 60n, s: 1n };
const MICROS = 1_000_000n;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** 9999-12-31T23:59:59.999999Z: no stored time is later. */
const TIME_MAX = 253_402_300_799_999_999n;
const HINT =
  'Write 2026-11-21T07:40:10Z, 2026-11-21 07:40 +01:00, 2026-11-21 07:40 Europe/Berlin, or an age: 5m ago, 2h30m ago.';

/** @throws UsageError for whatever does not mean exactly one instant between 1970 and 9999 */
export function parseTimeFlag(flag: string, text: string, { now }: { readonly now: Micros }): Micros {
  const fail = (why: string, hint = HINT): never => {
    throw new UsageError(`-${flag}: ${JSON.stringify(text)} ${why}`, { hint });
  };
  const age = AGE.exec(text.trim());
  const time = age ? now - ageOf(age[1] ?? '') : absolute(text.trim(), fail);
  return time >= 0n && time <= TIME_MAX ? micros(time) : fail('is outside of the years 1970 to 9999');
}

function ageOf(text: string): bigint {
  let seconds = 0n;
  for (const [, amount = '', unit = ''] of text.matchAll(AGE_PART))
    seconds += BigInt(amount) * (UNIT_SECONDS[unit] ?? 0n);
  return seconds * MICROS;
}

type Fail = (why: string, hint?: string) => never;

function absolute(text: string, fail: Fail): bigint {
  const found = ABSOLUTE.exec(text);
  if (found === null) return fail('is no time');
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((digits) => Number(digits ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const wall = Date.UTC(year, month - 1, day, hour, minute, second);
  const fields = [year, month, day, hour, minute, second].map((value, index) =>
    String(value).padStart(index === 0 ? 4 : 2, '0'),
  );
  // Date.UTC carries the 31st of June over to July, and 24:00 to the next day.
  const isCalendar = new Date(wall).toISOString().replaceAll(/\D/g, '').slice(0, 14) === fields.join('');
  if (!isCalendar) return fail('is no time of the calendar');
  const fraction = BigInt((found[7] ?? '').padEnd(6, '0'));
  const zone = found[8];
  if (zone === undefined) {
    return fail('says no zone, and may mean many instants', `Add Z for UTC, an offset, or a zone's name. ${HINT}`);
  }
  return BigInt(wall - offsetOf(zone, wall, fail)) * 1000n + fraction;
}

/** Milliseconds by which the zone's clocks are ahead of UTC when they show `wall`. */
function offsetOf(zone: string, wall: number, fail: Fail): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const found = OFFSET.exec(zone);
  if (found === null) return zoneOffset(zone, wall, fail);
  const [, sign, hours, minutes] = found;
  if (Number(hours) > 23 || Number(minutes) > 59) return fail(`has an offset that there is not, ${zone}`);
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
}

function zoneOffset(zone: string, wall: number, fail: Fail): number {
  const shown = clockOf(zone, fail);
  const offsetAt = (instant: number): number => shown(instant) - instant;
  // No zone changes its clocks twice within two days: these are all the offsets that may be meant.
  const offsets = new Set([offsetAt(wall - DAY_MS), offsetAt(wall + DAY_MS), offsetAt(wall)]);
  const fitting = [...offsets].filter((offset) => shown(wall - offset) === wall);
  const [only] = fitting;
  if (only === undefined) return fail(`is no time in ${zone}: the clocks skipped it`);
  if (fitting.length === 1) return only;
  const both = fitting.map((offset) => new Date(wall - offset).toISOString().replace(/\.000Z$/, 'Z'));
  return fail(`came twice in ${zone}: the clocks were set back`, `It is one of ${both.join(' and ')}.`);
}

/** What the clocks of a zone show at an instant, as if it were UTC; to the second. */
function clockOf(zone: string, fail: Fail): (instant: number) => number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail(`names a zone that is not known, ${zone}`);
  }
  return (instant) => {
    const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
    const of = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
    return Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
  };
}
