/** Values of flags that are no options of the configuration. */
import { parseDuration } from '../config/units.ts';
import { didYouMean } from '../config/problem.ts';
import { UsageError } from '../core/errors.ts';

/** @throws UsageError */
export function parseCount(
  flag: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`-${flag}: ${JSON.stringify(text)} is no whole number from ${min} to ${max}`);
}

/** Milliseconds. @throws UsageError */
export function parseDurationFlag(flag: string, text: string): number {
  const value = parseDuration(text);
  if (value !== null && value <= 86_400_000) return value;
  throw new UsageError(`-${flag}: ${JSON.stringify(text)} is no duration of at most a day`, {
    hint: 'Write 500ms, 30s or 5m.',
  });
}

/** @throws UsageError */
export function parseChoice<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new UsageError(
    `-${flag}: ${JSON.stringify(text)} is none of ${choices.join(', ')}${didYouMean(text, choices)}`,
  );
}
