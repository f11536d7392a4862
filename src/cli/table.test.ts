/** Invariant: a table is as wide as the terminal or less, unless its numbers alone are wider; no number is ever cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Column, cutName, formatTable } from './table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'TX', align: 'right' },
  { title: 'NAME', least: 6 },
  { title: 'SIZE', align: 'right', spare: 1 },
  { title: 'OWNER', least: 5, spare: 2 },
];

const row = fc.tuple(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  fc.string({ minLength: 1, maxLength: 60, unit: fc.constantFrom('a', 'b', '-') }),
  fc.nat({ max: 10 ** 9 }).map(String),
  fc.string({ minLength: 1, maxLength: 30, unit: fc.constantFrom('x', 'y') }),
);

test('any rows at any width', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 6 }), fc.integer({ min: 20, max: 200 }), (rows, width) => {
      const [title = '', ...lines] = formatTable(COLUMNS, rows, { width, indent: '  ' });
      const widest = Math.max(2, ...rows.map(([tx]) => tx.length));
      const room = Math.max(width, 2 + widest + 2 + 6);
      for (const line of [title, ...lines.slice(0, rows.length)]) expect(line.length).toBeLessThanOrEqual(room);
      for (const [index, [tx, , size]] of rows.entries()) {
        const line = lines[index] ?? '';
        expect(line.trim().split(/ +/)[0]).toBe(tx);
        if (title.includes('SIZE')) expect(line.split(/ +/)).toContain(size);
      }
      const hidden = COLUMNS.filter((column) => !title.includes(column.title)).map((column) =>
        column.title.toLowerCase(),
      );
      expect(lines.slice(rows.length)).toEqual(
        hidden.length === 0 ? [] : [`  (no room for: ${hidden.join(', ')}; -json has them)`],
      );
    }),
  );
});

test('without a width nothing is cut; control characters are escaped', () => {
  const name = 'n'.repeat(300);
  expect(formatTable(COLUMNS, [['1', name, '2', 'o']], { width: null })[1]?.split(/ +/)).toEqual([
    '',
    '1',
    name,
    '2',
    'o',
  ]);
  expect(formatTable([{ title: 'A' }], [['\u001b[2J']], { width: 80 })[1]).not.toContain('\u001b');
});

test('names are cut with a mark', () => {
  expect(cutName('abcdef', 6)).toBe('abcdef');
  expect(cutName('abcdef', 4)).toBe('abc…');
});
