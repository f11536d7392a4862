/**
 * The start of a commit's first record, as far as it can be read without a schema: which reducer made it, when by the
 * server's clock, and for whom. Source: FORMAT.md, "Record prefix".
 */
import { type Micros, micros } from '../core/types.ts';

/** The record's first byte has this bit when inputs follow it. */
export const RECORD_HAS_INPUTS = 0x80;
export const RECORD_HAS_OUTPUTS = 0x40;
export const RECORD_HAS_MUTATIONS = 0x20;
export const IDENTITY_BYTES = 32;
export const CONNECTION_ID_BYTES = 16;
export const TIMESTAMP_BYTES = 8;
/** Place of the reducer's name: flags u8, inputs' length u32, name's length u8 come before it. */
export const REDUCER_NAME_OFFSET = 6;
export const REDUCER_NAME_BYTES_MAX = 0xff;
/** No record's prefix is longer. */
export const RECORD_PREFIX_BYTES_MAX =
  REDUCER_NAME_OFFSET + REDUCER_NAME_BYTES_MAX + IDENTITY_BYTES + CONNECTION_ID_BYTES + TIMESTAMP_BYTES;

/** 9999-12-31T23:59:59.999999Z. A commit's time counts when it lies between 1970 and this. */
export const TIME_MAX: Micros = micros(253_402_300_799_999_999n);

export interface RecordPrefix {
  /** The reducer's name as the record has it; not checked for strange characters. */
  readonly reducer: string;
  /** Microseconds since 1970 by the server's clock, of any i64 value. */
  readonly time: Micros;
  /** 64 hex digits as SpacetimeDB prints an identity: the bytes in reverse order. */
  readonly callerIdentity: string;
  /** 32 hex digits, in reverse order too; all zeros where there is no connection. */
  readonly callerConnectionId: string;
}

/**
 * Index in `bytes` of the timestamp of the record that begins at `start`, or -1 when the record has no inputs, or none
 * of a reducer call, before `end`. The one place that knows the layout; the commit scanner calls it for each commit.
 */
export function findTimestamp(bytes: Uint8Array, start: number, end: number): number {
  if (start + REDUCER_NAME_OFFSET > end || ((bytes[start] as number) & RECORD_HAS_INPUTS) === 0) return -1;
  const inputsBytes =
    ((bytes[start + 1] as number) |
      ((bytes[start + 2] as number) << 8) |
      ((bytes[start + 3] as number) << 16) |
      ((bytes[start + 4] as number) << 24)) >>>
    0;
  const nameBytes = bytes[start + 5] as number;
  const fixed = nameBytes + IDENTITY_BYTES + CONNECTION_ID_BYTES;
  if (inputsBytes < 1 + fixed + TIMESTAMP_BYTES) return -1;
  const at = start + REDUCER_NAME_OFFSET + fixed;
  return at + TIMESTAMP_BYTES > end ? -1 : at;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const reversedHex = (bytes: Uint8Array): string => Buffer.from(bytes).reverse().toString('hex');

/** Reads the start of `record`; null when it was not made by a reducer call. Any bytes may be given: it never throws. */
export function decodeRecordPrefix(record: Uint8Array): RecordPrefix | null {
  const timeAt = findTimestamp(record, 0, record.byteLength);
  if (timeAt < 0) return null;
  const connectionAt = timeAt - CONNECTION_ID_BYTES;
  const identityAt = connectionAt - IDENTITY_BYTES;
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  return {
    reducer: decoder.decode(record.subarray(REDUCER_NAME_OFFSET, identityAt)),
    time: micros(view.getBigInt64(timeAt, true)),
    callerIdentity: reversedHex(record.subarray(identityAt, connectionAt)),
    callerConnectionId: reversedHex(record.subarray(connectionAt, timeAt)),
  };
}

export interface RecordFields {
  readonly reducer: string;
  readonly time: Micros;
  readonly callerIdentity?: string;
  readonly callerConnectionId?: string;
  /** The reducer's arguments: as long as wanted. */
  readonly args?: Uint8Array;
}

/** A record with inputs alone: for tests and benches, which need commits that carry a time. */
export function encodeRecord({ reducer, time, callerIdentity, callerConnectionId, args }: RecordFields): Uint8Array {
  const name = Buffer.from(reducer, 'utf8');
  if (name.byteLength > REDUCER_NAME_BYTES_MAX) throw new RangeError(`a reducer's name of ${name.byteLength} bytes`);
  const fixed = Buffer.alloc(REDUCER_NAME_OFFSET);
  const timestamp = Buffer.alloc(TIMESTAMP_BYTES);
  timestamp.writeBigInt64LE(time);
  const rest = [
    name,
    Buffer.from(callerIdentity ?? '00'.repeat(IDENTITY_BYTES), 'hex').reverse(),
    Buffer.from(callerConnectionId ?? '00'.repeat(CONNECTION_ID_BYTES), 'hex').reverse(),
    timestamp,
    args ?? new Uint8Array(0),
  ];
  fixed[0] = RECORD_HAS_INPUTS;
  fixed.writeUInt32LE(1 + rest.reduce((bytes, part) => bytes + part.byteLength, 0), 1);
  fixed[REDUCER_NAME_OFFSET - 1] = name.byteLength;
  return Buffer.concat([fixed, ...rest]);
}
