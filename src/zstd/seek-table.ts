/**
 * The seek table of the zstd seekable format: a skippable frame at the end of a file that tells where each frame is.
 * Source: zstd, contrib/seekable_format/zstd_seekable_compression_format.md, version 0.1.0.
 *
 *   u32 magic 0x184D2A5E · u32 bytes that follow · entries · u32 entries · u8 descriptor · u32 magic 0x8F92EAB1
 *   entry: u32 bytes of the frame · u32 plain bytes · [u32 checksum, where bit 7 of the descriptor is set]
 */
import { assert, CorruptionError } from '../core/errors.ts';
import { SKIPPABLE_HEADER_BYTES } from './frame-header.ts';

export const SEEK_TABLE_SKIPPABLE_MAGIC = 0x184d2a5e;
export const SEEKABLE_MAGIC = 0x8f92eab1;
export const SEEK_TABLE_FOOTER_BYTES = 9;
/** The format's own limit is 2^27. SpacetimeDB writes frames of 4 KiB, so that this is a segment of 16 GiB. */
export const SEEK_TABLE_FRAMES_MAX = 4 * 1024 * 1024;

export interface SeekTableEntry {
  /** Of the frame as stored. */
  readonly bytes: number;
  readonly plainBytes: number;
}

/** Columns, not rows: a table can have millions of frames. Both are of the same length. */
export interface SeekTable {
  readonly bytes: Uint32Array;
  readonly plainBytes: Uint32Array;
  /** Of the whole skippable frame. */
  readonly tableBytes: number;
}

const ENTRY_BYTES = 8;
const ENTRY_CHECKSUM_BYTES = 4;
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Bytes of a table without checksums for `frames` frames. */
export const seekTableBytes = (frames: number): number =>
  SKIPPABLE_HEADER_BYTES + frames * ENTRY_BYTES + SEEK_TABLE_FOOTER_BYTES;

/** A table without per-frame checksums: our frames carry their own. */
export function encodeSeekTable(frames: readonly SeekTableEntry[]): Uint8Array {
  assert(frames.length <= SEEK_TABLE_FRAMES_MAX, `${frames.length} frames are too many for a seek table`);
  const table = new Uint8Array(seekTableBytes(frames.length));
  const view = viewOf(table);
  view.setUint32(0, SEEK_TABLE_SKIPPABLE_MAGIC, true);
  view.setUint32(4, table.byteLength - SKIPPABLE_HEADER_BYTES, true);
  let at = SKIPPABLE_HEADER_BYTES;
  for (const { bytes, plainBytes } of frames) {
    assert(bytes <= 0xffff_ffff && plainBytes <= 0xffff_ffff, 'a frame is too long for a seek table');
    view.setUint32(at, bytes, true);
    view.setUint32(at + 4, plainBytes, true);
    at += ENTRY_BYTES;
  }
  view.setUint32(at, frames.length, true);
  view.setUint32(at + 5, SEEKABLE_MAGIC, true);
  return table;
}

function readFooter(tail: Uint8Array): { frames: number; entryBytes: number; reserved: boolean } | null {
  if (tail.byteLength < SEEK_TABLE_FOOTER_BYTES) return null;
  const view = viewOf(tail);
  const at = tail.byteLength - SEEK_TABLE_FOOTER_BYTES;
  if (view.getUint32(at + 5, true) !== SEEKABLE_MAGIC) return null;
  const descriptor = view.getUint8(at + 4);
  const entryBytes = ENTRY_BYTES + ((descriptor & 0b1000_0000) === 0 ? 0 : ENTRY_CHECKSUM_BYTES);
  return { frames: view.getUint32(at, true), entryBytes, reserved: (descriptor & 0b0111_1100) !== 0 };
}

/**
 * From a file's last 9 bytes (or more): how many bytes its seek table takes. Null when it does not end in one.
 *
 * @throws CorruptionError when it declares more than 2^22 frames
 */
export function readSeekTableBytes(tail: Uint8Array): number | null {
  const footer = readFooter(tail);
  if (footer === null) return null;
  if (footer.frames > SEEK_TABLE_FRAMES_MAX) throw new CorruptionError(`a seek table declares ${footer.frames} frames`);
  return SKIPPABLE_HEADER_BYTES + footer.frames * footer.entryBytes + SEEK_TABLE_FOOTER_BYTES;
}

/**
 * The seek table with which `tail` ends. `tail` may begin before the table. Checksums of frames are skipped.
 *
 * @throws CorruptionError when there is none, or it is malformed, or `tail` does not hold all of it
 */
export function decodeSeekTable(tail: Uint8Array): SeekTable {
  const footer = readFooter(tail);
  const tableBytes = readSeekTableBytes(tail);
  if (footer === null || tableBytes === null) throw new CorruptionError('no seek table at the end');
  if (tableBytes > tail.byteLength) throw new CorruptionError(`a seek table of ${tableBytes} bytes is cut short`);
  const start = tail.byteLength - tableBytes;
  const view = viewOf(tail);
  if (
    footer.reserved ||
    view.getUint32(start, true) !== SEEK_TABLE_SKIPPABLE_MAGIC ||
    view.getUint32(start + 4, true) !== tableBytes - SKIPPABLE_HEADER_BYTES
  ) {
    throw new CorruptionError('a malformed seek table');
  }
  const bytes = new Uint32Array(footer.frames);
  const plainBytes = new Uint32Array(footer.frames);
  for (let index = 0; index < footer.frames; index++) {
    const at = start + SKIPPABLE_HEADER_BYTES + index * footer.entryBytes;
    bytes[index] = view.getUint32(at, true);
    plainBytes[index] = view.getUint32(at + 4, true);
  }
  return { bytes, plainBytes, tableBytes };
}
