/** `generations` */
import type { Command } from 'commander';
import type { BrowsedGenerations, GenerationRow, ImageGenerationRow } from '../daemon/browse-command.ts';
import { browseOptions, tableCommand, WHERE } from './browse.ts';
import type { CommandFacts } from './command.ts';
import type { Session } from './session.ts';
import { type Column, formatTable } from './table.ts';
import { humanBytes, isoTime, tableTime } from './units.ts';

const facts: CommandFacts = {
  name: 'generations',
  summary: 'Show the generations of a backup: unbroken runs of the log, and where each branched off.',
  usage: '[flags] [DB_DIR | URL]',
  description: `A generation is an unbroken run of commits that one process stored. Where a log was cut back, reset or taken over,
a new one begins at the last commit that both have in common (FROM: generation @ transaction). LINE says what a restore
takes by default: the head's generation, and of older ones on its line the commits up to where the next branched off;
"other" lines are restored with -generation. Times are UTC, by the server's clock. From names and documents alone.

${WHERE}

Exit codes: 0 shown, 2 usage or configuration, 3 some could not be read, 10 no backup there, 75 store unreachable.`,
  examples: [
    ['stdb-replicate generations s3://my-backups/game-0', 'what was stored, and why did it begin anew?'],
    ['stdb-replicate generations -json /stdb/data/replicas/1', 'for a program'],
  ],
};

const COLUMNS: readonly Column[] = [
  { title: 'GEN', align: 'right' },
  { title: 'REASON' },
  { title: 'FROM', align: 'right', spare: 1 },
  { title: 'LINE' },
  { title: 'FIRST', align: 'right' },
  { title: 'LAST', align: 'right' },
  { title: 'UP TO (UTC)', spare: 0 },
  { title: 'BEGUN BY (UTC)', spare: 6 },
  { title: 'OBJECTS', align: 'right', spare: 3 },
  { title: 'LOG', align: 'right', spare: 2 },
  { title: 'SNAPSHOTS', align: 'right', spare: 4 },
  { title: 'NAME', spare: 5 },
  { title: 'CREATED (UTC)', spare: 7 },
  { title: 'WRITER', least: 12, spare: 8 },
];

const IMAGE_COLUMNS: readonly Column[] = [
  { title: 'GEN', align: 'right' },
  { title: 'REASON' },
  { title: 'LINE' },
  { title: 'IMAGES', align: 'right' },
  { title: 'OLDEST (UTC)', spare: 2 },
  { title: 'NEWEST (UTC)' },
  { title: 'NAME', spare: 1 },
  { title: 'CREATED (UTC)', spare: 3 },
  { title: 'WRITER', least: 12, spare: 4 },
];

const PLACES = { head: 'head', line: 'line', other: 'other' } as const;
const numberOf = (generation: string): string => generation.slice(0, 8).replace(/^0+(?=\d)/, '');
const writerText = ({ writer }: Pick<GenerationRow, 'writer'>): string =>
  writer === null ? '-' : `${writer.owner}@${writer.host}`;

type NameOf = (row: { readonly generation: string }) => string;

const cells = (row: GenerationRow, nameOf: NameOf): string[] => [
  nameOf(row),
  row.reason ?? '?',
  row.parent === null ? '-' : `${numberOf(row.parent.generation)} @ ${row.parent.position.tx}`,
  row.place === 'line' && row.until !== null ? `to ${row.until}` : PLACES[row.place],
  row.first?.toString() ?? '-',
  row.last?.tx.toString() ?? '-',
  tableTime(row.last?.time ?? null),
  tableTime(row.firstEnd?.time ?? null),
  row.logObjects.toString(),
  humanBytes(row.logBytes),
  row.snapshots.toString(),
  row.generation,
  tableTime(row.createdAt),
  writerText(row),
];

const imageCells = (row: ImageGenerationRow, nameOf: NameOf): string[] => [
  nameOf(row),
  row.reason ?? '?',
  PLACES[row.place],
  row.images.toString(),
  tableTime(row.oldest),
  tableTime(row.newest),
  row.generation,
  tableTime(row.createdAt),
  writerText(row),
];

const problems = (rows: readonly (GenerationRow | ImageGenerationRow)[]): string[] =>
  rows.flatMap(({ generation, problem }) => (problem === null ? [] : [`  ! ${generation}: ${problem}`]));

/** Numbers, as -generation takes them; names where a number means two. */
function namesOf(rows: readonly { readonly generation: string }[]): NameOf {
  const numbers = new Set(rows.map(({ generation }) => numberOf(generation)));
  return ({ generation }) => (numbers.size === rows.length ? numberOf(generation) : generation);
}

export function formatGenerations(found: BrowsedGenerations, width: number | null): string[] {
  const options = { width, indent: '  ' };
  const nameOf = namesOf(found.rows);
  const table =
    found.kind === 'database'
      ? formatTable(
          COLUMNS,
          found.rows.map((row) => cells(row, nameOf)),
          options,
        )
      : formatTable(
          IMAGE_COLUMNS,
          found.rows.map((row) => imageCells(row, nameOf)),
          options,
        );
  return [...table, ...problems(found.rows)];
}

const named = (point: GenerationRow['last']): Record<string, unknown> | null =>
  point && { tx: point.tx.toString(), time: isoTime(point.time) };

function rowDocument(row: GenerationRow | ImageGenerationRow): Record<string, unknown> {
  const parent = row.parent && {
    generation: row.parent.generation,
    tx: row.parent.position.tx.toString(),
    crc: row.parent.position.crc.toString(16).padStart(8, '0'),
  };
  const createdAt = row.createdAt === null ? null : isoTime(row.createdAt);
  if ('images' in row) {
    const { oldest, newest } = row;
    return {
      ...row,
      parent,
      createdAt,
      oldest: oldest === null ? null : isoTime(oldest),
      newest: newest === null ? null : isoTime(newest),
    };
  }
  return {
    ...row,
    parent,
    createdAt,
    first: row.first?.toString() ?? null,
    firstEnd: named(row.firstEnd),
    last: named(row.last),
    until: row.until?.toString() ?? null,
  };
}

export const generationsDocument = ({ kind, rows }: BrowsedGenerations): Record<string, unknown> => ({
  kind,
  generations: rows.map(rowDocument),
});

export const generationsCommand = (session: Session): Command =>
  tableCommand<BrowsedGenerations>(session, {
    facts,
    options: browseOptions('Print one JSON document.'),
    ask: async (urls, options) => (await import('../daemon/browse-command.ts')).browseGenerations(urls, options),
    format: formatGenerations,
    document: generationsDocument,
  });
