/** zod's issues as problems in the words of whoever wrote the file. */
import type { z } from 'zod';
import { findDeclared, formatOptionPath, keysAt, type OptionPath } from './declared.ts';
import { didYouMean } from './problem.ts';

export interface NamedProblem {
  readonly path: OptionPath;
  /** Whether the problem is the key itself, not what it holds. */
  readonly atKey: boolean;
  readonly message: string;
}

const isPath = (path: readonly PropertyKey[]): path is OptionPath => path.every((part) => typeof part !== 'symbol');

const WANTED: Readonly<Record<string, string>> = {
  object: 'a mapping (name: value)',
  array: 'a list (- …)',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

const SHOWN_MAX = 60;

const scalarText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A whole file of something else may stand where a mapping should. */
function shortText(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}…`;
}

function wrongType(wanted: string, value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'has no value';
  const shown = typeof value === 'object' ? (Array.isArray(value) ? 'a list' : 'a mapping') : shortText(value);
  const remedy =
    wanted === 'string' && typeof value !== 'object' ? `: put it in quotes, as "${scalarText(value)}"` : '';
  return `must be ${WANTED[wanted] ?? wanted}, not ${shown}${remedy}`;
}

function valueAt(root: unknown, path: OptionPath): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[part] : undefined,
    root,
  );
}

function describe(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      // An option's own words, where it has some for this value.
      if (!issue.message.startsWith('Invalid input')) return `: ${issue.message}`;
      return ` ${wrongType(issue.expected, value)}`;
    case 'invalid_value': {
      const names = issue.values.map(String);
      if (value === undefined || value === null) return ` ${wrongType('string', value)}`;
      return `: ${JSON.stringify(value)} is none of ${names.join(', ')}${didYouMean(scalarText(value), names)}`;
    }
    case 'too_small':
      return issue.origin === 'array'
        ? ' must not be empty'
        : `: ${scalarText(value)} is too small: at least ${issue.minimum}`;
    case 'too_big':
      return `: ${scalarText(value)} is too large: at most ${issue.maximum}`;
    case 'invalid_format':
    case 'custom':
      return issue.message.startsWith('is ') ? ` ${issue.message}` : `: ${issue.message}`;
    default:
      return `: ${issue.message}`;
  }
}

function unknownKey(key: string, parent: OptionPath): NamedProblem {
  const place = parent.length === 0 ? '' : ` in ${formatOptionPath(parent)}`;
  const known = keysAt(parent);
  const nearest = didYouMean(key, known);
  const message = `unknown key ${JSON.stringify(key)}${place}${nearest || ` (known: ${known.join(', ')})`}`;
  return { path: [...parent, key], atKey: true, message };
}

/** @param written what zod was given */
export function problemsOf(issues: readonly z.core.$ZodIssue[], written: unknown): NamedProblem[] {
  return issues.flatMap((issue): NamedProblem[] => {
    const path = isPath(issue.path) ? issue.path : [];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path));
    if (issue.code === 'too_big' && path.length === 1 && path[0] === 'levels') {
      const message =
        'levels above 0 are not available in this release: keep one entry, as in levels: [{interval: 1s}]';
      return [{ path: [...path, 1], atKey: false, message }];
    }
    const name = path.length === 0 ? 'the configuration' : formatOptionPath(path);
    return [{ path, atKey: false, message: `${name}${describe(issue, valueAt(written, path))}` }];
  });
}

/** What came as text, from the environment, a flag or a variable, becomes a number or boolean where one is declared. */
export function coerceText(path: OptionPath, text: string): string | number | boolean {
  const kind = findDeclared(path)?.kind;
  if (kind === 'number' && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return kind === 'boolean' && (text === 'true' || text === 'false') ? text === 'true' : text;
}
