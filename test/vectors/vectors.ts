/** Real database directories for tests. What they are and where they come from: PROVENANCE.md. */
import { cpSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('./', import.meta.url));

/** The kinds of damage in `v2-damaged/`; `none` is the intact directory that they were made from. */
export const DAMAGES = [
  'bad-crc-tail',
  'drop-segment',
  'flip-byte',
  'flip-byte-after-snapshot',
  'flip-byte-in-last',
  'fork',
  'header-only-tail',
  'log-before-snapshot',
  'no-log',
  'none',
  'prefix-pruned',
  'stale-invalid',
  'stale-lock',
  'torn-first-commit',
  'torn-tail',
  'torn-tail-in-header',
  'version9',
  'zero-tail',
] as const;
export type Damage = (typeof DAMAGES)[number];

/** Sets with one replica directory: `replica/` and `expect.json`. */
export type ReplicaVector =
  | 'v1.2'
  | 'v2-small'
  | 'v2-compressed'
  | 'v2-batched/v1'
  | 'v2-batched/v0'
  | 'v2-batched/v0-last-too'
  | `v2-damaged/${Damage}`;
/** The set with a whole server data directory: `data/`, with replicas 1 and 3. */
export type ServerVector = 'server-2.8';
export type VectorName = ReplicaVector | ServerVector;

/** The directory that a database's path would name: `…/replica` or `…/data`. To be read, not changed. */
export function vectorDirectory(name: VectorName): string {
  return join(ROOT, name, name === 'server-2.8' ? 'data' : 'replica');
}

/** Copies what `vectorDirectory` names to `target`, which must not exist, with its empty directories. */
export function copyVector(name: VectorName, target: string): void {
  cpSync(vectorDirectory(name), target, {
    recursive: true,
    errorOnExist: true,
    force: false,
    filter: (path) => basename(path) !== '.keep',
  });
}

/** Timestamps are beyond no number here: they are microseconds, below 2^53 until the year 2255. */
export interface ExpectedLog {
  readonly bytes: number;
  readonly commits: number;
  readonly error: string | null;
  readonly first: number | null;
  readonly first_timestamp_us: number | null;
  readonly last: number | null;
  readonly last_crc: string | null;
  readonly last_timestamp_us: number | null;
  readonly max_epoch: number;
  readonly max_n: number;
  readonly segments: readonly {
    readonly compressed: boolean;
    readonly file_bytes: number;
    readonly logical_bytes: number | null;
    readonly offset: number;
    readonly version: number | null;
  }[];
  readonly tail_error: string | null;
  readonly txs: number;
}

/** Where `verified` is false only `tx` and `error` are there. */
export interface ExpectedSnapshot {
  readonly absent_pages: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly compressed: boolean;
  readonly identity: string;
  readonly pages: number;
  readonly replica_id: number;
  readonly tx: number;
  readonly verified: boolean;
  readonly error?: string;
}

export interface ExpectedCommit {
  readonly bytes: number;
  readonly crc: string;
  readonly epoch: number;
  readonly min_tx: number;
  readonly n: number;
  readonly reducer: string | null;
  readonly segment: number;
  readonly timestamp_us: number | null;
}

/** The parts of `expect.json` that all sets with one replica directory have; `commits` only the batched ones. */
export interface Expectation {
  readonly log_summary: ExpectedLog;
  readonly snapshots: readonly ExpectedSnapshot[];
  readonly commits?: readonly ExpectedCommit[];
}

export function readExpectation(name: ReplicaVector): Expectation {
  return JSON.parse(readFileSync(join(ROOT, name, 'expect.json'), 'utf8')) as Expectation;
}

export interface ServerExpectation {
  readonly replicas: Readonly<
    Record<string, { readonly log: ExpectedLog; readonly snapshots: readonly ExpectedSnapshot[] }>
  >;
}

export function readServerExpectation(): ServerExpectation {
  return JSON.parse(readFileSync(join(ROOT, 'server-2.8', 'expect.json'), 'utf8')) as ServerExpectation;
}
