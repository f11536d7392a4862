/** What capture hands on: whole, checked commits of one segment. */
import type { ByteOffset, Crc32c, Micros, TxOffset } from '../core/types.ts';

/** A run holds as many commits as fit here; one commit that is longer is a run by itself. Equals a frame of ours. */
export const RUN_BYTES_TARGET = 256 * 1024;

/** A commit up to this is held in memory; a longer one (a u32 length allows 4 GiB) is proven by a pass over its file. */
export const COMMIT_BYTES_IN_MEMORY_MAX = 8 * 1024 * 1024;

export interface CommitRun {
  /** The source segment, by its name. */
  readonly segment: TxOffset;
  /** The segment's own first 10 bytes. */
  readonly header: Uint8Array;
  readonly first: TxOffset;
  readonly last: TxOffset;
  /** Checksum of the commit before `first`; 0 at the beginning of a log and where it is not known. */
  readonly prev: Crc32c;
  readonly crc: Crc32c;
  /** The greatest time in the line up to and including `last`. */
  readonly time: Micros;
  /** Of the last commit. */
  readonly epoch: bigint | null;
  readonly commits: number;
  /** Place in the segment's plain bytes. */
  readonly start: ByteOffset;
  readonly end: ByteOffset;
  /** The commits' bytes in parts of at most RUN_BYTES_TARGET. May be called again: the same bytes. */
  parts(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** False for a commit too long for memory: `parts` reads its file, within the loan of the iteration that gave it. */
  readonly inMemory: boolean;
}

/** Where reading goes on: after the commit that ends at `at`. */
export interface TailPosition {
  readonly segment: TxOffset;
  readonly at: ByteOffset;
  readonly nextTx: TxOffset;
  /** Checksum of the commit before; 0 at the beginning. */
  readonly crc: Crc32c;
  readonly time: Micros;
  /** Of the commit before, where it was read: none after it may have a lower one. */
  readonly epoch?: bigint | null;
  /** Set where a line begins here: what stands before in the file is no matter, and `crc` is 0. */
  readonly begins?: true;
}
