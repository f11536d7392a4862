/** Numbers and times as people read them. */
import type { Micros } from '../core/types.ts';

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.5 GiB`; three digits or so. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < BYTE_UNITS.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** `340 ms`, `2.4 s`, `1:05 min`, `3:05:10 h` */
export function humanDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)} min`;
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)} h`;
}

const AGES: readonly (readonly [name: string, seconds: number])[] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

/** `3 hours ago`; for what a clock that runs ahead of ours wrote: `in 2 seconds`. */
export function humanAge(seconds: number): string {
  const whole = Math.round(Math.abs(seconds));
  if (whole === 0) return 'just now';
  // Below two of a unit the next smaller one says more: 90 minutes, not 1 hour.
  const [name, length] = AGES.find(([, unit]) => whole >= 2 * unit) ?? (['second', 1] as const);
  const count = Math.floor(whole / length);
  const text = `${count} ${name}${count === 1 ? '' : 's'}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

/** `1 segment`, `3 segments` */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** RFC 3339 with microseconds, UTC, as the store's documents write times. */
export function isoTime(time: Micros): string {
  const seconds = new Date(Number(time / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${(time % 1_000_000n).toString().padStart(6, '0')}Z`;
}

/** The same for people, to the second: `2026-11-21 07:40:10 UTC`. */
export const humanTime = (time: Micros): string => `${isoTime(time).slice(0, 19).replace('T', ' ')} UTC`;

/** Seconds from `time` to `now`; negative where its clock runs ahead. */
export const ageSeconds = (time: Micros, now: Micros): number => Number((now - time) / 1000n) / 1000;

/** For columns whose title says that it is UTC: `2026-11-21 07:40:10`; `-` where no server's clock told a time. */
export const tableTime = (time: Micros | null): string =>
  time === null || time === 0n ? '-' : isoTime(time).slice(0, 19).replace('T', ' ');
