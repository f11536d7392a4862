/**
 * A database's directory as a second, independent reader sees it: plain bytes of segments cut into commits, plain bytes
 * of snapshots. It shares no code with the program that it judges, checks no checksum (what it reads is compared, byte
 * for byte), and holds everything in memory: for small directories.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

export interface RecordedCommit {
  readonly firstTx: bigint;
  readonly lastTx: bigint;
  readonly bytes: Buffer;
}

export interface RecordedSegment {
  /** `<20 digits>.stdb.log` */
  readonly name: string;
  readonly firstTx: bigint;
  readonly header: Buffer;
  readonly commits: readonly RecordedCommit[];
  /** Whether the file is compressed in place. */
  readonly isCompressed: boolean;
  /** Header and commits: the logical bytes up to the end of the last whole commit. */
  readonly bytes: Buffer;
}

export interface RecordedSnapshot {
  readonly tx: bigint;
  /** Plain bytes by path below the snapshot's directory: the snapshot file and its objects. */
  readonly files: ReadonlyMap<string, Buffer>;
}

export interface RecordedDatabase {
  readonly directory: string;
  /** Ascending. */
  readonly segments: readonly RecordedSegment[];
  /** Complete ones, ascending. */
  readonly snapshots: readonly RecordedSnapshot[];
}

const SEGMENT_HEADER_BYTES = 10;
const ZSTD_MAGIC = 0xfd2fb528;
const SEEKABLE_MAGIC = 0x8f92eab1;

const isZstd = (bytes: Buffer): boolean => bytes.byteLength >= 4 && bytes.readUInt32LE(0) === ZSTD_MAGIC;

/** Node decodes the first frame alone: the seek table at the end, where there is one, says where the others begin. */
export function plainBytes(bytes: Buffer): Buffer {
  if (!isZstd(bytes)) return bytes;
  const end = bytes.byteLength;
  if (bytes.readUInt32LE(end - 4) !== SEEKABLE_MAGIC) return zstdDecompressSync(bytes);
  const frameCount = bytes.readUInt32LE(end - 9);
  const entryBytes = (bytes.readUInt8(end - 5) & 0x80) === 0 ? 8 : 12;
  const tableAt = end - 9 - frameCount * entryBytes;
  const plain: Buffer[] = [];
  for (let index = 0, at = 0; index < frameCount; index++) {
    const next = at + bytes.readUInt32LE(tableAt + index * entryBytes);
    plain.push(zstdDecompressSync(bytes.subarray(at, next)));
    at = next;
  }
  return Buffer.concat(plain);
}

/** Whole commits of a segment's plain bytes. */
export function cutCommits(bytes: Buffer): RecordedCommit[] {
  const isVersion0 = bytes[6] === 0;
  const headerBytes = isVersion0 ? 14 : 22;
  const commits: RecordedCommit[] = [];
  for (let at = SEGMENT_HEADER_BYTES; at + headerBytes <= bytes.byteLength; ) {
    const firstTx = bytes.readBigUInt64LE(at);
    const transactions = bytes.readUInt16LE(at + headerBytes - 6);
    const end = at + headerBytes + bytes.readUInt32LE(at + headerBytes - 4) + 4;
    if (transactions === 0 || end > bytes.byteLength) break;
    commits.push({ firstTx, lastTx: firstTx + BigInt(transactions) - 1n, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return commits;
}

async function readSegment(directory: string, name: string): Promise<RecordedSegment> {
  const file = await readFile(join(directory, 'clog', name));
  const plain = plainBytes(file);
  const commits = cutCommits(plain);
  const header = plain.subarray(0, SEGMENT_HEADER_BYTES);
  const bytes = Buffer.concat([header, ...commits.map((commit) => commit.bytes)]);
  return { name, firstTx: BigInt(name.slice(0, 20)), header, commits, isCompressed: isZstd(file), bytes };
}

/** Files below `directory` by their path relative to it. */
export async function readTree(directory: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length + 1), await readFile(path));
  }
  return files;
}

async function readSnapshot(directory: string, name: string): Promise<RecordedSnapshot> {
  const files = await readTree(join(directory, 'snapshots', name));
  for (const [path, bytes] of files) files.set(path, plainBytes(bytes));
  return { tx: BigInt(name.slice(0, 20)), files };
}

const namesIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory).catch(() => [])).toSorted((a, b) => (a < b ? -1 : 1));

/** The log alone, ascending: also of a directory that grows meanwhile. */
export async function readSegments(directory: string): Promise<RecordedSegment[]> {
  const segments: RecordedSegment[] = [];
  for (const name of await namesIn(join(directory, 'clog'))) {
    if (/^\d{20}\.stdb\.log$/.test(name)) segments.push(await readSegment(directory, name));
  }
  return segments;
}

export async function readDatabase(directory: string): Promise<RecordedDatabase> {
  const segments = await readSegments(directory);
  const snapshots: RecordedSnapshot[] = [];
  const names = await namesIn(join(directory, 'snapshots'));
  for (const name of names) {
    const isTaken = /^\d{20}\.snapshot_dir$/.test(name) && !names.includes(`${name.slice(0, 20)}.lock`);
    if (isTaken) snapshots.push(await readSnapshot(directory, name));
  }
  return { directory, segments, snapshots };
}

export const commitsOf = ({ segments }: RecordedDatabase): RecordedCommit[] =>
  segments.flatMap(({ commits }) => [...commits]);

export const lastTxOf = (database: RecordedDatabase): bigint => commitsOf(database).at(-1)?.lastTx ?? -1n;
