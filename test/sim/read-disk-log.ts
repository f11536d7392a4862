/**
 * Reads a commit log as the engine does at its start, from a disk in memory: by the model's own rules, not by the code
 * under test. Source: the engine's behaviour as FORMAT.md of `spacetimedb/` tells it.
 */
import { crc32c } from '../../src/core/checksum.ts';
import { crc32cValue, type TxOffset } from '../../src/core/types.ts';
import { COMMIT_HEADER_BYTES, decodeCommitHeader } from '../../src/spacetimedb/commit.ts';
import { parseSegmentName } from '../../src/spacetimedb/file-names.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/spacetimedb/segment-header.ts';
import { decodeFrameSync } from '../../src/zstd/frame.ts';
import { decodeSeekTable } from '../../src/zstd/seek-table.ts';
import type { Commit, History } from './history.ts';

const ZSTD_MAGIC = 0xfd2f_b528;

export interface ReadSegment {
  readonly tx: TxOffset;
  readonly path: string;
  readonly compressed: boolean;
  readonly commits: readonly Commit[];
  /** Where the valid commits end, in plain bytes. */
  readonly validBytes: number;
  readonly plainBytes: number;
}

/** A segment of a running server. */
export interface OpenSegment {
  readonly tx: TxOffset;
  readonly path: string;
  compressed: boolean;
  commits: number;
}

/** What `bytes` hold, where the model has compressed them. */
export function plainOf(bytes: Uint8Array): Uint8Array {
  const isZstd = bytes.byteLength >= 4 && Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32LE() === ZSTD_MAGIC;
  if (!isZstd) return bytes;
  const table = decodeSeekTable(bytes);
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [frame, length] of table.bytes.entries()) {
    const plainBytesMax = table.plainBytes[frame] ?? 0;
    parts.push(decodeFrameSync(bytes.subarray(at, at + length), { plainBytesMax }));
    at += length;
  }
  return Buffer.concat(parts);
}

/** The whole commits of a segment's plain bytes from its header on, as far as they are valid and follow each other. */
export function validCommits(plain: Uint8Array, first: bigint, history: History): { commits: Commit[]; end: number } {
  const commits: Commit[] = [];
  let at = SEGMENT_HEADER_BYTES;
  let tx = first;
  for (;;) {
    const rest = plain.subarray(at);
    const header = decodeCommitHeader(rest, 1);
    if (header === null || header.tx !== tx || header.count === 0 || rest.byteLength < header.bytes) break;
    const covered = rest.subarray(0, header.bytes - 4);
    const crc = Buffer.from(rest.buffer, rest.byteOffset + covered.byteLength, 4).readUInt32LE();
    if (crc32c(covered) !== crc) break;
    const commit = history.find({ tx: header.tx + BigInt(header.count) - 1n, crc: crc32cValue(crc) });
    if (commit === undefined || Buffer.compare(commit.bytes, rest.subarray(0, header.bytes)) !== 0) {
      throw new Error(`a commit at ${header.tx} that no server of this simulation wrote`);
    }
    const before = commits.at(-1);
    if (before !== undefined && commit.before !== before) throw new Error(`two histories are mixed at ${commit.first}`);
    commits.push(commit);
    at += header.bytes;
    tx += BigInt(header.count);
  }
  return { commits, end: Math.min(at, plain.byteLength) };
}

export const SHORT_TAIL_BYTES = COMMIT_HEADER_BYTES[1];

/** Segments by name, each up to its last valid commit. */
export function readSegments(
  files: Iterable<readonly [path: string, bytes: Uint8Array]>,
  history: History,
): ReadSegment[] {
  const segments: ReadSegment[] = [];
  for (const [path, bytes] of files) {
    const tx = parseSegmentName(path.slice(path.lastIndexOf('/') + 1));
    if (tx === null) continue;
    const plain = plainOf(bytes);
    const { commits, end } = validCommits(plain, tx, history);
    const sizes = { validBytes: end, plainBytes: plain.byteLength };
    segments.push({ tx, path, compressed: plain !== bytes, commits, ...sizes });
  }
  return segments.sort((a, b) => (a.tx < b.tx ? -1 : 1));
}

/** Plain bytes of a segment's header and its first `count` commits. */
export const bytesUpTo = ({ commits }: ReadSegment, count: number): number =>
  commits.slice(0, count).reduce((sum, { bytes }) => sum + bytes.length, SEGMENT_HEADER_BYTES);

/** Takes away the last segments that hold nothing, as the engine does first; gives their paths. */
export function dropEmptyEnd(segments: ReadSegment[]): string[] {
  const dropped: string[] = [];
  for (let last = segments.at(-1); last && !last.compressed && last.plainBytes <= SEGMENT_HEADER_BYTES; ) {
    dropped.push(last.path);
    segments.pop();
    last = segments.at(-1);
  }
  return dropped;
}

/** What the engine makes of segments: the last commit, or why it does not start. */
export function openAsEngine(
  segments: readonly ReadSegment[],
  { snapshots }: { snapshots: readonly bigint[] },
): { readonly tip: Commit | null } | { readonly refusal: string } {
  let tip: Commit | null = null;
  for (const { tx, commits } of segments) {
    const [first] = commits;
    if (tip !== null && tx !== tip.last + 1n) return { refusal: `out of order at ${tx}` };
    if (first === undefined) return { refusal: `no valid commits in segment ${tx}` };
    if (tip !== null && first.before !== tip) throw new Error(`two histories are mixed at ${tx}`);
    tip = commits.at(-1) ?? first;
  }
  const start = segments[0]?.tx ?? 0n;
  const last = tip?.last ?? -1n;
  const isConnected = start === 0n || snapshots.some((tx) => tx <= last && tx + 1n >= start);
  return isConnected ? { tip } : { refusal: 'no connected snapshot' };
}
