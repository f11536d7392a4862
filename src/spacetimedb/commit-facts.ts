/** What a scan says of commits: of each good one, and of what ends the valid prefix. */
import type { ByteOffset, Crc32c, Micros, TxOffset } from '../core/types.ts';

/** A whole, checked commit. */
export interface CommitFacts {
  /** Offset of its first transaction. */
  readonly tx: TxOffset;
  /** Transactions in it, 1 to 65535. */
  readonly count: number;
  readonly lastTx: TxOffset;
  readonly epoch: bigint;
  readonly crc: Crc32c;
  readonly start: ByteOffset;
  /** One after its checksum. */
  readonly end: ByteOffset;
  /** Its first record's server time; null when it has none, or one outside of the years 1970 to 9999. */
  readonly time: Micros | null;
  /**
   * The first bytes of its first record, at most RECORD_PREFIX_BYTES_MAX, for `decodeRecordPrefix`. A view of the
   * scanner's input: whoever keeps it after the callback copies it.
   */
  readonly recordPrefix: Uint8Array;
}

/**
 * Why the prefix ends.
 * zero: a commit header of zero bytes only, which is never-written space. bad-crc: the checksum is another one.
 * out-of-order: another first offset than expected; a commit that is there twice is this too (the engine skips it).
 * epoch-backwards: a lower epoch than before. bad-length: no transactions in it, or offsets beyond u64.
 * The checksum is judged first: the last three are of commits that are as somebody wrote them.
 */
export type ScanProblemKind = 'zero' | 'bad-crc' | 'out-of-order' | 'epoch-backwards' | 'bad-length';

export interface ScanProblem {
  readonly kind: ScanProblemKind;
  /** Where the commit would begin: the scanner's `end`. */
  readonly at: ByteOffset;
  /** The offset that was expected there. */
  readonly tx: TxOffset;
}
