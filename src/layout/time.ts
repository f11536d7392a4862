/**
 * Times as keys and documents write them: UTC with microseconds, years 1970 to 9999, always the same number of digits,
 * so that text order is time order.
 */
import { assert } from '../core/errors.ts';
import { type Micros, micros } from '../core/types.ts';

/** 1970-01-01T00:00:00.000000Z: the time of a line before its first commit that has one. */
export const TIME_MIN = micros(0n);
/** 9999-12-31T23:59:59.999999Z */
export const TIME_MAX = micros(253_402_300_799_999_999n);

const TIMESTAMP = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})\.(\d{6})Z$/;
const KEY_TIME = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})\.(\d{6})Z$/;

export const isStorableTime = (time: bigint): boolean => time >= TIME_MIN && time <= TIME_MAX;

/** RFC 3339: `2026-11-21T07:40:10.123456Z`. `time` must be within the years 1970 to 9999. */
export function formatTimestamp(time: Micros): string {
  assert(isStorableTime(time), `time ${time} is outside of the years 1970 to 9999`);
  const seconds = new Date(Number(time / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${(time % 1_000_000n).toString().padStart(6, '0')}Z`;
}

/** As in keys: `20261121T074010.123456Z`. */
export function formatKeyTime(time: Micros): string {
  return formatTimestamp(time).replaceAll(/[-:]/g, '');
}

function parse(text: string, shape: RegExp): Micros | null {
  const found = shape.exec(text);
  if (found === null) return null;
  const [year, month, day, hour, minute, second, fraction] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC carries the 31st of June over to July, and takes the years 0 to 99 for 1900 to 1999.
  const isCalendar =
    date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24;
  const time = BigInt(date.getTime()) * 1000n + BigInt(fraction);
  return isCalendar && minute < 60 && second < 60 && isStorableTime(time) ? micros(time) : null;
}

/** Null for anything that `formatTimestamp` does not write. */
export const parseTimestamp = (text: string): Micros | null => parse(text, TIMESTAMP);

/** Null for anything that `formatKeyTime` does not write. */
export const parseKeyTime = (text: string): Micros | null => parse(text, KEY_TIME);

/**
 * The time of a line after one more commit. Times never fall; a commit without a time, or with one outside the years
 * 1970 to 9999, takes that of the one before.
 */
export function advanceTime(previous: Micros, commitTime: Micros | null): Micros {
  return commitTime !== null && isStorableTime(commitTime) && commitTime > previous ? commitTime : previous;
}
