/** `snapshots` */
import type { Command } from 'commander';
import type { BrowsedSnapshots, ImageRow, SnapshotRow, SnapshotState } from '../daemon/browse-command.ts';
import { browseOptions, tableCommand, WHERE } from './browse.ts';
import type { CommandFacts } from './command.ts';
import type { Session } from './session.ts';
import { type Column, formatTable } from './table.ts';
import { humanBytes, isoTime, tableTime } from './units.ts';

const facts: CommandFacts = {
  name: 'snapshots',
  summary: 'Show the stored snapshots of a database, and the images of a server’s own files.',
  usage: '[flags] [DB_DIR | URL]',
  description: `One line for each snapshot: the transaction that it was taken at, when, what it holds, and what it is good for.
usable: a restore can end with it. later points only: the commit that it was taken at is no longer kept, and a restore
that begins with it ends behind it. no log: neither. damaged, gone: its manifest. LINE: whether it is of the head's line;
others need -generation. Objects and size are of the whole snapshot; what several snapshots share is stored once.
The beginning of each manifest is read; whether all of its data is there is not looked at.

${WHERE}

Exit codes: 0 shown, 2 usage or configuration, 3 some could not be read, 10 no backup there, 75 store unreachable.`,
  examples: [['stdb-replicate snapshots s3://my-backups/game-0', 'which snapshots are stored?']],
};

const COLUMNS: readonly Column[] = [
  { title: 'TRANSACTION', align: 'right' },
  { title: 'TIME (UTC)' },
  { title: 'LINE' },
  { title: 'STATE' },
  { title: 'OBJECTS', align: 'right', spare: 1 },
  { title: 'SIZE', align: 'right' },
  { title: 'GENERATION', spare: 2 },
];

const IMAGE_COLUMNS: readonly Column[] = [
  { title: 'IMAGE (UTC)' },
  { title: 'LINE' },
  { title: 'STATE' },
  { title: 'FILES', align: 'right', spare: 2 },
  { title: 'PROGRAMS', align: 'right', spare: 3 },
  { title: 'STORED', align: 'right', spare: 1 },
  { title: 'DATABASES', least: 12 },
  { title: 'GENERATION', spare: 4 },
];

const STATES: Readonly<Record<SnapshotState, string>> = {
  usable: 'usable',
  'later-points': 'later points only',
  'no-log': 'no log',
  damaged: 'damaged',
  gone: 'gone',
};

const lineText = (onHeadLine: boolean): string => (onHeadLine ? 'head' : 'other');

const cells = (row: SnapshotRow): string[] => [
  row.tx.toString(),
  tableTime(row.time),
  lineText(row.onHeadLine),
  STATES[row.state],
  row.objects?.toString() ?? '-',
  row.plainBytes === null ? '-' : humanBytes(row.plainBytes),
  row.generation,
];

export const imageCells = (row: ImageRow): string[] => [
  tableTime(row.time),
  lineText(row.onHeadLine),
  row.state,
  row.files?.toString() ?? '-',
  row.programs?.toString() ?? '-',
  humanBytes(row.bytes),
  row.replicas?.map(({ replicaId }) => replicaId).join(', ') ?? '-',
  row.generation,
];

export const formatImages = (rows: readonly ImageRow[], width: number | null): string[] =>
  rows.length === 0
    ? ['  no image of the server’s own files']
    : [...formatTable(IMAGE_COLUMNS, rows.map(imageCells), { width, indent: '  ' }), ...problems(rows)];

const problems = (rows: readonly (SnapshotRow | ImageRow)[]): string[] =>
  rows.flatMap((row) => (row.problem === null ? [] : [`  ! ${'tx' in row ? row.tx : row.name}: ${row.problem}`]));

export function formatSnapshots(found: BrowsedSnapshots, width: number | null): string[] {
  if (found.kind === 'server') return formatImages(found.rows, width);
  if (found.rows.length === 0) return ['  no snapshot'];
  return [...formatTable(COLUMNS, found.rows.map(cells), { width, indent: '  ' }), ...problems(found.rows)];
}

const snapshotDocument = (row: SnapshotRow): Record<string, unknown> => ({
  ...row,
  tx: row.tx.toString(),
  time: row.time === null ? null : isoTime(row.time),
});

export const imageDocument = (row: ImageRow): Record<string, unknown> => ({
  ...row,
  time: isoTime(row.time),
  replicas:
    row.replicas?.map(({ replicaId, position }) => ({
      replicaId: replicaId.toString(),
      position: position && { generation: position.generation, tx: position.tx.toString() },
    })) ?? null,
});

export const snapshotsDocument = (found: BrowsedSnapshots): Record<string, unknown> =>
  found.kind === 'server'
    ? { kind: 'server', images: found.rows.map(imageDocument) }
    : { kind: 'database', snapshots: found.rows.map(snapshotDocument) };

export const snapshotsCommand = (session: Session): Command =>
  tableCommand<BrowsedSnapshots>(session, {
    facts,
    options: browseOptions('Print one JSON document.'),
    ask: async (urls, options) => (await import('../daemon/browse-command.ts')).browseSnapshots(urls, options),
    format: formatSnapshots,
    document: snapshotsDocument,
  });
