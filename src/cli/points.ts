/** `points` */
import type { Command } from 'commander';
import { systemClock } from '../core/clock.ts';
import type { Micros } from '../core/types.ts';
import type { BrowsedPoints, PointsGap, PointsView } from '../daemon/browse-command.ts';
import { browseOptions, generationOption, tableCommand, WHERE } from './browse.ts';
import type { CommandFacts } from './command.ts';
import type { Session } from './session.ts';
import { formatImages, imageDocument } from './snapshots.ts';
import { type Column, formatTable } from './table.ts';
import { ageSeconds, humanAge, humanTime, isoTime, tableTime } from './units.ts';

const facts: CommandFacts = {
  name: 'points',
  summary: 'Show which points can be restored: ranges of transactions, and the gaps between them.',
  usage: '[flags] [DB_DIR | URL]',
  description: `Where POINTS says "every commit", a restore can end behind each commit between the two transactions (restore -tx N), and
at each time between the two times (restore -timestamp TIME). A gap is what no restore reaches. "~" before a time: the
line ends there within an object, and it may be a little later. Lines that are not the head's and hold later commits are
named below; -generation shows them, and restores them. Of a server's own files the images of the head's line are shown.
From names, and the manifests of snapshots that a range begins with: \`verify -deep\` reads everything.

${WHERE}

Exit codes: 0 shown, 2 usage or configuration, 3 some could not be read, 10 no backup there, 14 the line cannot be followed,
75 store unreachable.`,
  examples: [
    ['stdb-replicate points s3://my-backups/game-0', 'to when could we restore?'],
    ['stdb-replicate points -generation 2 s3://my-backups/game-0', 'of another line'],
  ],
};

const COLUMNS: readonly Column[] = [
  { title: 'FROM', align: 'right' },
  { title: 'TO', align: 'right' },
  { title: 'POINTS' },
  { title: 'FROM (UTC)', spare: 1 },
  { title: 'TO (UTC)' },
  { title: 'BEGINS WITH', spare: 2 },
];

type Range = PointsView['ranges'][number];

const rangeCells = (range: Range): string[] => [
  range.first.toString(),
  range.to.tx.toString(),
  range.granularity === 'commit' ? 'every commit' : 'the snapshot only',
  tableTime(range.fromTime),
  `${range.to.time === null || range.to.timeIsExact ? '' : '~'}${tableTime(range.to.time)}`,
  range.snapshot === null ? 'the log' : `snapshot ${range.snapshot}`,
];

function gapCells({ after, before, until }: PointsGap): string[] {
  const first = after === null ? 0n : after.tx + 1n;
  const last = before === null ? until?.tx : before - 1n;
  return [first.toString(), last?.toString() ?? '?', after === null ? 'not kept' : 'GAP', '-', '-', '-'];
}

/** Ranges and gaps in one order: by their first transaction. */
const rowsOf = ({ ranges, gaps }: PointsView): string[][] =>
  [
    ...ranges.map((range) => ({ first: range.first as bigint, cells: rangeCells(range) })),
    ...gaps.map((gap) => ({ first: gap.after === null ? -1n : gap.after.tx + 1n, cells: gapCells(gap) })),
  ]
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
    .map(({ cells }) => cells);

const whenText = (time: Micros | null, now: Micros): string =>
  time === null || time === 0n ? '' : ` of ${humanTime(time)} (${humanAge(ageSeconds(time, now))})`;

export function formatPoints(points: PointsView, { now, width }: { now: Micros; width: number | null }): string[] {
  const { generation, isHead, ranges, others, unusable } = points;
  const newest = ranges.at(-1)?.to;
  const lines = [
    `  line         ${generation}${isHead ? ', the head’s' : ''}`,
    `  newest       ${newest ? `transaction ${newest.tx}${whenText(newest.time, now)}` : 'no point can be restored'}`,
  ];
  const rows = rowsOf(points);
  if (rows.length > 0) lines.push(...formatTable(COLUMNS, rows, { width, indent: '  ' }));
  for (const { generation: other, last } of others) {
    lines.push(`  ! ${other}, another line, goes on to transaction ${last.tx}${whenText(last.time, now)}`);
  }
  for (const [key, { message }] of unusable) lines.push(`  ! ${key} cannot be used: ${message}`);
  return lines;
}

const time = (value: Micros | null): string | null => (value === null ? null : isoTime(value));

export function pointsDocument({
  generation,
  isHead,
  ranges,
  gaps,
  others,
  unusable,
}: PointsView): Record<string, unknown> {
  return {
    generation,
    isHead,
    ranges: ranges.map(({ first, fromTime, to, base, snapshot, granularity }) => ({
      from: first.toString(),
      fromTime: time(fromTime),
      to: to.tx.toString(),
      toTime: time(to.time),
      toTimeIsExact: to.timeIsExact,
      granularity,
      base,
      snapshot: snapshot?.toString() ?? null,
    })),
    gaps: gaps.map(({ after, before, until }) => ({
      after: after?.tx.toString() ?? null,
      before: before?.toString() ?? null,
      until: until?.tx.toString() ?? null,
    })),
    otherLines: others.map(({ generation: name, databaseIdentity, last }) => ({
      generation: name,
      databaseIdentity,
      tx: last.tx.toString(),
      time: isoTime(last.time),
    })),
    unusable: [...unusable].map(([key, { message }]) => ({ key, message })),
  };
}

export const pointsCommand = (session: Session): Command =>
  tableCommand<BrowsedPoints>(session, {
    facts,
    options: [generationOption(), ...browseOptions('Print one JSON document.')],
    ask: async (urls, options) => (await import('../daemon/browse-command.ts')).browsePoints(urls, options),
    format: (found, width) =>
      found.kind === 'server'
        ? formatImages(found.rows, width)
        : formatPoints(found.points, { now: systemClock.now(), width }),
    document: (found) =>
      found.kind === 'server'
        ? { kind: 'server', images: found.rows.map(imageDocument) }
        : { kind: 'database', ...pointsDocument(found.points) },
  });
