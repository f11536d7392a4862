/**
 * Tables for people. Numbers and times are never cut: where a table is wider than the terminal, names are, with `…`, and
 * then columns that can be done without are left out, which is said. Pure.
 */
import { escapeControls } from '../core/printable-text.ts';

export interface Column {
  readonly title: string;
  /** Numbers. Default: left. */
  readonly align?: 'right';
  /** A name, which may be cut to no less than so many characters. */
  readonly least?: number;
  /** Left out where there is no room, the highest first. Without it the column always stays. */
  readonly spare?: number;
}

export interface TableOptions {
  /** Characters of a line; null: as many as it takes. */
  readonly width: number | null;
  /** Before each line. */
  readonly indent?: string;
}

const GAP = 2;
/** By characters as they are shown, so that none is cut in two. */
const segmenter = new Intl.Segmenter('en');
const charactersOf = (text: string): string[] => Array.from(segmenter.segment(text), ({ segment }) => segment);
const ASCII = /^[\x20-\x7e]*$/;
const lengthOf = (text: string): number => (ASCII.test(text) ? text.length : charactersOf(text).length);

/** Lines, the title's first. Control characters in cells are escaped. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { width, indent = '' }: TableOptions,
): string[] {
  const cells = rows.map((row) => row.map(escapeControls));
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(0, width - indent.length);
  const { shown, widths } = fit(columns, cells, room);
  const line = (row: readonly string[]): string =>
    `${indent}${shown.map((index) => pad(row[index] ?? '', widths[index] ?? 0, columns[index]?.align)).join(' '.repeat(GAP))}`.trimEnd();
  const lines = [line(columns.map(({ title }) => title)), ...cells.map(line)];
  const hidden = columns
    .filter((_, index) => !shown.includes(index))
    .map(({ title }) => title.toLowerCase().replace('(utc)', '(UTC)'));
  if (hidden.length > 0) lines.push(`${indent}(no room for: ${hidden.join(', ')}; -json has them)`);
  return lines;
}

/** Which columns, and how wide each is. */
export function fit(
  columns: readonly Column[],
  cells: readonly (readonly string[])[],
  room: number,
): { readonly shown: readonly number[]; readonly widths: readonly number[] } {
  const natural = columns.map(({ title }, index) =>
    cells.reduce((most, row) => Math.max(most, lengthOf(row[index] ?? '')), lengthOf(title)),
  );
  const least = natural.map((width, index) => {
    const { least: cut, title } = columns[index] as Column;
    return cut === undefined ? width : Math.min(width, Math.max(cut, lengthOf(title)));
  });
  const shown = new Set(columns.keys());
  const total = (widths: readonly number[]): number =>
    [...shown].reduce((sum, index) => sum + (widths[index] ?? 0), 0) + GAP * (shown.size - 1);
  const spares = [...columns.entries()]
    .filter(([, { spare }]) => spare !== undefined)
    .sort(([, a], [, b]) => (b.spare ?? 0) - (a.spare ?? 0));
  for (const [index] of spares) if (total(least) > room) shown.delete(index);
  const widths = [...natural];
  while (total(widths) > room) {
    // The widest name gives way first.
    const widest = [...shown].reduce<number | null>((best, index) => {
      if ((widths[index] ?? 0) <= (least[index] ?? 0)) return best;
      return best === null || (widths[index] ?? 0) > (widths[best] ?? 0) ? index : best;
    }, null);
    if (widest === null) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return { shown: [...shown], widths };
}

function pad(text: string, width: number, align: 'right' | undefined): string {
  const fitting = cutName(text, width);
  const blanks = ' '.repeat(width - lengthOf(fitting));
  return align === 'right' ? `${blanks}${fitting}` : `${fitting}${blanks}`;
}

/** At most `width` characters, the last one `…` where some are missing. */
export function cutName(text: string, width: number): string {
  if (lengthOf(text) <= width) return text;
  const characters = charactersOf(text);
  return `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}
