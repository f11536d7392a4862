/**
 * The offset index beside a segment: where some commits begin. A hint, never a proof: whoever uses an entry checks the
 * commit found there. Source: FORMAT.md, "Offset index".
 */
import { type ByteOffset, byteOffset, type TxOffset, txOffset } from '../core/types.ts';

export const OFFSET_INDEX_ENTRY_BYTES = 16;
/** Bytes of commits between two entries at least; the engine's default. */
export const OFFSET_INDEX_INTERVAL_BYTES = 4096;

export interface OffsetIndexEntry {
  /** First transaction of the commit that begins at `at`; never 0. */
  readonly tx: TxOffset;
  /** Place in the segment's plain bytes. */
  readonly at: ByteOffset;
}

/**
 * The entries up to the first that is zero, does not rise, or is no place that a number can hold. Any bytes may be
 * given: a damaged index has fewer entries.
 */
export function decodeOffsetIndex(bytes: Uint8Array): OffsetIndexEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: OffsetIndexEntry[] = [];
  let last: OffsetIndexEntry = { tx: txOffset(0n), at: byteOffset(0) };
  for (let i = 0; i + OFFSET_INDEX_ENTRY_BYTES <= bytes.byteLength; i += OFFSET_INDEX_ENTRY_BYTES) {
    const tx = view.getBigUint64(i, true);
    const at = view.getBigUint64(i + 8, true);
    if (tx <= last.tx || at <= BigInt(last.at) || at > BigInt(Number.MAX_SAFE_INTEGER)) break;
    last = { tx: txOffset(tx), at: byteOffset(Number(at)) };
    entries.push(last);
  }
  return entries;
}

/** The last entry at or before `tx`; null when there is none. */
export function findIndexEntry(entries: readonly OffsetIndexEntry[], tx: TxOffset): OffsetIndexEntry | null {
  let found: OffsetIndexEntry | null = null;
  for (const entry of entries) {
    if (entry.tx > tx) break;
    found = entry;
  }
  return found;
}

/** Entries one after another, followed by zeros up to `bytes` if that is more. */
export function encodeOffsetIndex(entries: readonly OffsetIndexEntry[], bytes = 0): Uint8Array {
  const encoded = new Uint8Array(Math.max(bytes, entries.length * OFFSET_INDEX_ENTRY_BYTES));
  const view = new DataView(encoded.buffer);
  for (const [index, { tx, at }] of entries.entries()) {
    view.setBigUint64(index * OFFSET_INDEX_ENTRY_BYTES, tx, true);
    view.setBigUint64(index * OFFSET_INDEX_ENTRY_BYTES + 8, BigInt(at), true);
  }
  return encoded;
}
