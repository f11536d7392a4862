/** Numbers and times as people read them in messages. */
import type { Micros } from '../core/types.ts';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.5 GiB`; whole bytes below 1 KiB. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** RFC 3339 in UTC with microseconds: `2026-11-21T07:40:10.123456Z`. */
export function formatMicros(time: Micros): string {
  const whole = new Date(Number(time / 1000n)).toISOString();
  return `${whole.slice(0, -1)}${String(time % 1000n).padStart(3, '0')}Z`;
}
