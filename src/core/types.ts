/**
 * The words that every room shares, as types that cannot be mixed up.
 * u64 values of SpacetimeDB's files are `bigint`; sizes of files and memory are `number`.
 */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A transaction's offset in a database's commit log: u64. */
export type TxOffset = Brand<bigint, 'TxOffset'>;
/** A place in a segment's plain (uncompressed) bytes, its 10-byte header included. */
export type ByteOffset = Brand<number, 'ByteOffset'>;
/** CRC32C (Castagnoli) as an unsigned 32-bit number. */
export type Crc32c = Brand<number, 'Crc32c'>;
/** Microseconds since 1970-01-01 UTC, by the clock of whoever wrote them. */
export type Micros = Brand<bigint, 'Micros'>;

export const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** @throws RangeError when `value` is no u64: our bug, checked data is bounded before it comes here. */
export function txOffset(value: bigint | number): TxOffset {
  const tx = BigInt(value);
  if (tx < 0n || tx > U64_MAX) throw new RangeError(`not a transaction offset: ${tx}`);
  return tx as TxOffset;
}

export const byteOffset = (value: number): ByteOffset => value as ByteOffset;
export const crc32cValue = (value: number): Crc32c => (value >>> 0) as Crc32c;
export const micros = (value: bigint): Micros => value as Micros;

/** The end of a commit: the offset of its last transaction and its CRC32C. A recovery point. */
export interface Position {
  readonly tx: TxOffset;
  readonly crc: Crc32c;
}

export const samePosition = (a: Position, b: Position): boolean => a.tx === b.tx && a.crc === b.crc;

export const formatCrc = (crc: Crc32c): string => crc.toString(16).padStart(8, '0');

/** For messages: `299 (crc 6869d232)`. */
export const formatPosition = (position: Position): string => `${position.tx} (crc ${formatCrc(position.crc)})`;
