/**
 * Every real directory, with what a backup of it must give back, and where and why that differs from what SpacetimeDB's
 * engine makes of the directory itself (`expect.json` of the set). Ours is never less than what the engine keeps.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '../../src/core/checksum.ts';
import {
  copyVector,
  DAMAGES,
  type Damage,
  readExpectation,
  type ReplicaVector,
  vectorDirectory,
} from '../vectors/vectors.ts';
import type { RecordedCommit, RecordedDatabase, RecordedSegment } from './recorded-database.ts';

/** A line of a store, by what it must give back. */
export interface DueLine {
  /** Null: the head's line; else a generation's number. */
  readonly generation: string | null;
  /** The first transaction of the line, and the last one. */
  readonly from: bigint;
  readonly last: bigint;
  readonly snapshot: bigint;
  /** What the engine must say of the restored directory: a set's own check, or its state after a transaction. */
  readonly like: { readonly set: ReplicaVector; readonly until?: number } | null;
}

export interface DataSet {
  readonly name: string;
  /** Where the set's `expect.json` is one of a replica directory. */
  readonly vector: ReplicaVector | null;
  readonly replica?: '1' | '3';
  /** Exit code of one pass over it. */
  readonly code: number;
  /** What of its words an operator must see. */
  readonly says?: RegExp;
  /** What must come back. Empty: nothing is stored. */
  readonly lines: readonly DueLine[];
  /** How that differs from what the engine makes of the directory; null: it does not. */
  readonly difference: string | null;
}

const headLine = (last: bigint, snapshot: bigint, like: DueLine['like'], from = 0n): DueLine => ({
  generation: null,
  from,
  last,
  snapshot,
  like,
});

const NONE = 'v2-damaged/none';

type Outcome = Omit<DataSet, 'name' | 'vector' | 'code' | 'difference'> & {
  readonly code?: number;
  readonly difference?: string;
};

const DAMAGED: Readonly<Record<Damage, Outcome>> = {
  none: { lines: [headLine(119n, 60n, { set: NONE })] },
  'torn-tail': {
    lines: [headLine(118n, 60n, { set: 'v2-damaged/torn-tail' })],
    says: /119 bytes after transaction 118 are not a whole commit/,
  },
  'torn-tail-in-header': {
    lines: [headLine(118n, 60n, { set: 'v2-damaged/torn-tail-in-header' })],
    says: /5 bytes after transaction 118 are not a whole commit/,
  },
  'bad-crc-tail': {
    lines: [headLine(118n, 60n, { set: 'v2-damaged/bad-crc-tail' })],
    says: /163 bytes after transaction 118 are not a whole commit/,
  },
  'zero-tail': {
    lines: [headLine(119n, 60n, { set: 'v2-damaged/zero-tail' })],
    says: /4096 bytes after transaction 119 are not a whole commit/,
  },
  'header-only-tail': { lines: [headLine(119n, 60n, { set: 'v2-damaged/header-only-tail' })] },
  fork: { lines: [headLine(119n, 60n, { set: 'v2-damaged/fork' })] },
  'prefix-pruned': { lines: [headLine(119n, 60n, { set: 'v2-damaged/prefix-pruned' }, 43n)] },
  'stale-lock': { lines: [headLine(119n, 1n, { set: 'v2-damaged/stale-lock' })] },
  'log-before-snapshot': { lines: [headLine(42n, 1n, { set: 'v2-damaged/log-before-snapshot' })] },
  'stale-invalid': {
    lines: [headLine(42n, 1n, { set: 'v2-damaged/log-before-snapshot' })],
    difference: 'The engine refuses to start beside the .invalid_snapshot, which a restore never writes: ours opens.',
  },
  'torn-first-commit': {
    lines: [headLine(119n, 60n, { set: NONE })],
    difference: 'The engine refuses the last segment, which holds no whole commit and which ours leaves out.',
  },
  'no-log': {
    code: 2,
    says: /there is no commit log in/,
    lines: [],
    difference: 'The engine silently begins a new, empty database. There is nothing to back up, and one pass says so.',
  },
  version9: {
    code: 1,
    says: /version 9/,
    lines: [headLine(85n, 60n, { set: NONE, until: 85 })],
    difference: 'The engine refuses it altogether; ours keeps what stands before the unknown segment.',
  },
  'flip-byte': {
    code: 14,
    says: /lacks transaction 27/,
    lines: [
      headLine(119n, 60n, { set: 'v2-damaged/flip-byte' }, 60n),
      { generation: '1', from: 0n, last: 26n, snapshot: 1n, like: { set: NONE, until: 26 } },
    ],
    difference: 'The engine notices nothing while the snapshot behind the damage stands. Ours says so, and keeps both.',
  },
  'drop-segment': {
    code: 14,
    says: /lacks transaction 2,/,
    lines: [
      headLine(119n, 60n, { set: 'v2-damaged/drop-segment' }, 60n),
      { generation: '1', from: 0n, last: 1n, snapshot: 1n, like: { set: NONE, until: 1 } },
    ],
    difference: 'The engine notices nothing while the snapshot behind the hole stands. Ours says so, and keeps both.',
  },
  'flip-byte-after-snapshot': {
    code: 14,
    says: /lacks transaction 83/,
    lines: [headLine(82n, 60n, { set: NONE, until: 82 })],
    difference: 'The engine refuses it altogether; ours keeps what stands before the damage.',
  },
  'flip-byte-in-last': {
    code: 14,
    says: /lacks transaction 46/,
    // Made from another origin, which is no set of its own.
    lines: [headLine(45n, 1n, null)],
    difference:
      'The engine refuses it, or without the index opens it silently without all that follows. Ours keeps as much, aloud.',
  },
};

const intact = (vector: ReplicaVector, last: bigint, snapshot: bigint): DataSet => ({
  name: vector,
  vector,
  code: 0,
  lines: [headLine(last, snapshot, { set: vector })],
  difference: null,
});

const ofServer = (replica: '1' | '3', last: bigint, snapshot: bigint): DataSet => ({
  name: `server-2.8, replica ${replica}`,
  vector: null,
  replica,
  code: 0,
  lines: [headLine(last, snapshot, null)],
  difference: null,
});

export const DATA_SETS: readonly DataSet[] = [
  intact('v1.2', 8n, 0n),
  intact('v2-small', 299n, 180n),
  intact('v2-compressed', 299n, 180n),
  intact('v2-batched/v1', 119n, 60n),
  intact('v2-batched/v0', 119n, 60n),
  {
    name: 'v2-batched/v0-last-too',
    vector: 'v2-batched/v0-last-too',
    code: 0,
    lines: [headLine(119n, 60n, { set: 'v2-batched/v0' })],
    difference: 'The engine refuses a log that ends in version 0; ours writes that segment as version 1, and says so.',
  },
  ...DAMAGES.map((damage): DataSet => {
    const { code = 0, difference = null, ...outcome } = DAMAGED[damage];
    return { name: `v2-damaged/${damage}`, vector: `v2-damaged/${damage}`, code, difference, ...outcome };
  }),
  ofServer('1', 67n, 51n),
  ofServer('3', 8n, 0n),
];

/** Copies a set to `target`; gives the directory of its database. */
export function copyDataSet({ vector, replica }: DataSet, target: string): string {
  if (vector !== null) {
    copyVector(vector, target);
    return target;
  }
  cpSync(vectorDirectory('server-2.8'), target, { recursive: true });
  return join(target, 'replicas', replica ?? '');
}

/** What the engine kept when the set was made, at the most; null: it refused it, or began anew. */
export function keptByEngine({ vector }: DataSet): number | null {
  if (vector === null) return null;
  const { check, check_ignore_index: withoutIndex } = readExpectation(vector) as unknown as Record<
    string,
    { readonly ok: boolean; readonly durable: number | null }
  >;
  const kept = [check, withoutIndex].map((said) => (said?.ok === true ? (said.durable ?? -1) : -1));
  const most = Math.max(...kept);
  return most < 0 ? null : most;
}

/** What looks like a commit may be what a crash left. */
const isWhole = ({ bytes }: RecordedCommit): boolean =>
  crc32c(bytes.subarray(0, -4)) === bytes.readUInt32LE(bytes.byteLength - 4);

/** What of a source belongs to a line: as a restore must give it back. */
export function dueOf(
  source: RecordedDatabase,
  { from, last, snapshot }: Pick<DueLine, 'from' | 'last' | 'snapshot'>,
): RecordedDatabase {
  const segments = source.segments.flatMap((segment): RecordedSegment[] => {
    const commits = segment.commits.filter(
      (commit) => isWhole(commit) && commit.firstTx >= from && commit.lastTx <= last,
    );
    const first = commits[0]?.firstTx;
    if (first === undefined || segment.firstTx > last) return [];
    return [segmentOf(segment.header, first, commits)];
  });
  const newest = segments.at(-1);
  // The engine opens a segment of version 0 only where another one follows.
  if (newest?.header[6] === 0) segments.splice(-1, 1, asVersion1(newest));
  return { ...source, segments, snapshots: source.snapshots.filter(({ tx }) => tx <= snapshot) };
}

function segmentOf(header: Buffer, firstTx: bigint, commits: readonly RecordedCommit[]): RecordedSegment {
  const bytes = Buffer.concat([header, ...commits.map((commit) => commit.bytes)]);
  return {
    name: `${firstTx.toString().padStart(20, '0')}.stdb.log`,
    firstTx,
    header,
    commits,
    isCompressed: false,
    bytes,
  };
}

/** The same offsets, counts and records, an epoch of 0, new checksums. */
function asVersion1({ header, firstTx, commits }: RecordedSegment): RecordedSegment {
  const rewritten = commits.map(({ bytes, ...commit }) => {
    const covered = Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(8), bytes.subarray(8, -4)]);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32LE(crc32c(covered));
    return { ...commit, bytes: Buffer.concat([covered, checksum]) };
  });
  const newer = Buffer.from(header);
  newer[6] = 1;
  return segmentOf(newer, firstTx, rewritten);
}
