/** The commit that holds a snapshot's transaction, as its manifest keeps it: a segment of one commit. */
import { CorruptionError } from '../core/errors.ts';
import type { Position, TxOffset } from '../core/types.ts';
import { decodeCommitHeader } from '../spacetimedb/commit.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, type LogVersion, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';

export interface SnapshotCommit {
  /** The snapshot's transaction; within the commit. */
  readonly tx: TxOffset;
  /** Header and commit. */
  readonly bytes: Uint8Array;
  readonly version: LogVersion;
  /** Offset of the commit's first transaction. */
  readonly first: TxOffset;
  readonly position: Position;
  readonly facts: CommitFacts;
}

/** The log that a snapshot should go with has another commit where the snapshot was taken. */
export class SnapshotMismatchError extends CorruptionError {}

/** @throws CorruptionError when `bytes` are not the segment of exactly that commit */
export function decodeSnapshotCommit(
  bytes: Uint8Array,
  { tx, key }: { readonly tx: TxOffset; readonly key: string },
): SnapshotCommit {
  const { version } = decodeSegmentHeader(bytes, { path: `the commit of the snapshot at ${tx} in ${key}` });
  const first = decodeCommitHeader(bytes.subarray(SEGMENT_HEADER_BYTES), version)?.tx;
  const commits: CommitFacts[] = [];
  if (first !== undefined) {
    const scanner = new CommitScanner({ version, expectedTx: first, onCommit: (facts) => commits.push(facts) });
    scanner.push(bytes.subarray(SEGMENT_HEADER_BYTES));
  }
  const [facts] = commits;
  if (first === undefined || facts === undefined || facts.end !== bytes.byteLength || tx < first || tx > facts.lastTx) {
    throw new CorruptionError(`what ${key} keeps as the commit of the snapshot at ${tx} is not that commit`, {
      facts: { key, tx },
    });
  }
  return { tx, bytes, version, first, position: { tx: facts.lastTx, crc: facts.crc }, facts };
}
