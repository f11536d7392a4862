/** One commit's bytes, both versions. For reading a log use `CommitScanner`. Source: FORMAT.md, "Commit". */
import { crc32c } from '../core/checksum.ts';
import { assert } from '../core/errors.ts';
import { type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { LogVersion } from './segment-header.ts';

/** Header bytes before the records, by format version. */
export const COMMIT_HEADER_BYTES = { 0: 14, 1: 22 } as const satisfies Record<LogVersion, number>;
/** The CRC32C after the records. */
export const COMMIT_CRC_BYTES = 4;
export const COMMIT_TRANSACTIONS_MAX = 0xffff;
export const COMMIT_RECORDS_BYTES_MAX = 0xffff_ffff;

export interface CommitHeader {
  /** Offset of its first transaction. */
  readonly tx: TxOffset;
  /** 0 in version 0. */
  readonly epoch: bigint;
  /** Transactions in it. A good commit has 1 to 65535; this is what the bytes say. */
  readonly count: number;
  readonly recordsBytes: number;
  /** Of the whole commit: header, records, checksum. */
  readonly bytes: number;
}

/** The header at the start of `bytes`; null when they are fewer than a header has. Says nothing of the checksum. */
export function decodeCommitHeader(bytes: Uint8Array, version: LogVersion): CommitHeader | null {
  const headerBytes = COMMIT_HEADER_BYTES[version];
  if (bytes.byteLength < headerBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const recordsBytes = view.getUint32(headerBytes - 4, true);
  return {
    tx: txOffset(view.getBigUint64(0, true)),
    epoch: version === 1 ? view.getBigUint64(8, true) : 0n,
    count: view.getUint16(headerBytes - 6, true),
    recordsBytes,
    bytes: headerBytes + recordsBytes + COMMIT_CRC_BYTES,
  };
}

export interface CommitFields {
  readonly version: LogVersion;
  readonly tx: TxOffset;
  /** Must be 0 in version 0, which has no place for it. */
  readonly epoch?: bigint;
  readonly count?: number;
  readonly records: Uint8Array;
}

/** The bytes of one commit with its right checksum. */
export function encodeCommit({ version, tx, epoch = 0n, count = 1, records }: CommitFields): Uint8Array {
  assert(version === 1 || epoch === 0n, 'a commit of version 0 has no epoch');
  assert(epoch >= 0n && epoch <= U64_MAX, 'an epoch is a u64');
  assert(Number.isInteger(count) && count >= 0 && count <= COMMIT_TRANSACTIONS_MAX, 'a count is a u16');
  assert(records.byteLength <= COMMIT_RECORDS_BYTES_MAX, 'the length of the records is a u32');
  const headerBytes = COMMIT_HEADER_BYTES[version];
  const bytes = new Uint8Array(headerBytes + records.byteLength + COMMIT_CRC_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, tx, true);
  if (version === 1) view.setBigUint64(8, epoch, true);
  view.setUint16(headerBytes - 6, count, true);
  view.setUint32(headerBytes - 4, records.byteLength, true);
  bytes.set(records, headerBytes);
  const covered = bytes.byteLength - COMMIT_CRC_BYTES;
  view.setUint32(covered, crc32c(bytes.subarray(0, covered)), true);
  return bytes;
}
