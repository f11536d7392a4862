/** What is wrong with a configuration: all of it at once, each with its place, in one ConfigurationError. */
import { closest, distance } from 'fastest-levenshtein';
import { ConfigurationError } from '../core/errors.ts';

export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export interface Problem {
  /** In the file; null for what came from elsewhere, or is nowhere. */
  readonly place: Place | null;
  /** What gave the value where it was not the file: `environment variable STDB_REPLICATE_ADDR`. */
  readonly origin?: string | undefined;
  readonly message: string;
}

/** The nearest of `names`, where it is near enough to be a slip of the fingers; null otherwise. */
export function nearestName(name: string, names: readonly string[]): string | null {
  if (names.length === 0) return null;
  const normal = (text: string): string => text.toLowerCase().replaceAll(/[_\s]/g, '-');
  const nearest = closest(normal(name), names.map(normal));
  const found = names.find((candidate) => normal(candidate) === nearest) ?? null;
  if (found === null) return null;
  const slipsMax = found.length <= 3 ? 1 : Math.max(2, Math.floor(found.length / 3));
  return distance(normal(name), nearest) <= slipsMax ? found : null;
}

export const didYouMean = (name: string, names: readonly string[]): string => {
  const nearest = nearestName(name, names);
  return nearest === null ? '' : `, did you mean ${nearest}?`;
};

const byPlace = (a: Problem, b: Problem): number =>
  (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0);

function formatProblem(problem: Problem, file: string | null): string {
  if (problem.origin !== undefined) return `${problem.origin}: ${problem.message}`;
  if (file === null) return problem.message;
  const { place } = problem;
  return place ? `${file}:${place.line}:${place.column}: ${problem.message}` : `${file}: ${problem.message}`;
}

/** One problem is one line; several are counted and listed, in the file's order. */
export function configurationError(problems: readonly Problem[], file: string | null): ConfigurationError {
  const lines = [...problems].sort(byPlace).map((problem) => formatProblem(problem, file));
  const message =
    lines.length === 1 ? String(lines[0]) : `${lines.length} problems in the configuration\n  ${lines.join('\n  ')}`;
  return new ConfigurationError(message, {
    hint: problems.every(({ origin }) => origin !== undefined)
      ? '`stdb-replicate config reference` lists every option.'
      : '`stdb-replicate config reference` lists every option; replicate.yml.example shows a whole file.',
    facts: { problems: lines.length, ...(file === null ? {} : { file }) },
  });
}
