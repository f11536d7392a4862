/** Durations and sizes as people write them: one number, one unit, nothing else. */

const DURATION_UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS_BYTES = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

export const DURATION_PATTERN: RegExp = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)$/;
export const SIZE_PATTERN: RegExp = /^(\d{1,15}(?:\.\d{1,6})?) ?(B|[kKMGT]B|[KMGT]iB)$/;

const isKey = <T extends object>(units: T, name: string): name is string & keyof T => Object.hasOwn(units, name);

function parseWith(units: Readonly<Record<string, number>>, pattern: RegExp, text: string): number | null {
  const match = pattern.exec(text);
  const [, amount, unit] = match ?? [];
  if (amount === undefined || unit === undefined || !isKey(units, unit)) return null;
  const value = Math.round(Number(amount) * (units[unit] ?? Number.NaN));
  return Number.isSafeInteger(value) ? value : null;
}

/** `250ms`, `1s`, `1.5h`, `30d` to milliseconds; null for anything else. */
export const parseDuration = (text: string): number | null => parseWith(DURATION_UNITS_MS, DURATION_PATTERN, text);

/** `8MiB`, `96MB`, `1.5GiB`, `4096B` to bytes; null for anything else. */
export const parseSize = (text: string): number | null => parseWith(SIZE_UNITS_BYTES, SIZE_PATTERN, text);

function formatWith(units: readonly (readonly [string, number])[], value: number): string {
  for (const [unit, factor] of units) if (value >= factor && value % factor === 0) return `${value / factor}${unit}`;
  const [smallest = ['', 1] as const] = units.slice(-1);
  return `${value}${smallest[0]}`;
}

/** The shortest exact spelling: 60000 is `1m`, 90000 is `90s`. */
export const formatDuration = (ms: number): string =>
  formatWith(
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1_000],
      ['ms', 1],
    ],
    ms,
  );

/** The shortest exact spelling: 100663296 is `96MiB`, 96000000 is `96MB`. */
export const formatSize = (bytes: number): string =>
  formatWith(
    [
      ['TiB', 2 ** 40],
      ['GiB', 2 ** 30],
      ['MiB', 2 ** 20],
      ['TB', 1e12],
      ['GB', 1e9],
      ['MB', 1e6],
      ['KiB', 2 ** 10],
      ['kB', 1e3],
      ['B', 1],
    ],
    bytes,
  );
