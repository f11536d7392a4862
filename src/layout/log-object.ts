/**
 * Log objects: a source segment's 10-byte header and whole commits, in the zstd seekable format. Frames of at most
 * 256 KiB of plain data, each with content size and checksum, and last the seek table.
 *
 * Responsible for: the frames and the table. Not responsible for: what the plain bytes are, and the object's name.
 */
import { assert } from '../core/errors.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { decodeFrame, encodeFrame } from '../zstd/frame.ts';
import {
  decodeSeekTable,
  encodeSeekTable,
  readSeekTableBytes,
  SEEK_TABLE_FOOTER_BYTES,
  type SeekTableEntry,
  seekTableBytes,
} from '../zstd/seek-table.ts';
import { decodeFrames, FRAME_BYTES_MAX, FRAME_PLAIN_BYTES_MAX, FRAMES_AHEAD } from './frames.ts';
import { corruptObject, inObject } from './object-error.ts';

export const LOG_FRAME_PLAIN_BYTES_MAX = FRAME_PLAIN_BYTES_MAX;
/** 8 GiB in full frames; and the seek table is never longer than a frame may be. */
export const LOG_OBJECT_FRAMES_MAX = 32_768;
assert(seekTableBytes(LOG_OBJECT_FRAMES_MAX) <= FRAME_BYTES_MAX, 'a seek table must fit where a frame does');

export interface EncodeLogObjectOptions {
  readonly level: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The object's bytes: one piece for each of `chunks` (plain frames, in order, none empty or above
 * LOG_FRAME_PLAIN_BYTES_MAX) and last the seek table. A chunk must not change until its piece has come.
 */
export async function* encodeLogObject(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { level, signal }: EncodeLogObjectOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const entries: SeekTableEntry[] = [];
  const encode = async (plain: Uint8Array): Promise<{ frame: Uint8Array; plainBytes: number }> => {
    const plainBytes = plain.byteLength;
    assert(plainBytes > 0 && plainBytes <= LOG_FRAME_PLAIN_BYTES_MAX, `a log frame of ${plainBytes} plain bytes`);
    return { frame: await encodeFrame(plain, { level }), plainBytes };
  };
  for await (const { frame, plainBytes } of mapAhead(chunks, encode, { ahead: FRAMES_AHEAD, signal })) {
    entries.push({ bytes: frame.byteLength, plainBytes });
    assert(entries.length <= LOG_OBJECT_FRAMES_MAX, 'a log object has too many frames');
    yield frame;
  }
  assert(entries.length > 0, 'a log object without data');
  yield encodeSeekTable(entries);
}

export interface LogObjectFacts {
  readonly key: string;
  /** Bytes as listed. */
  readonly size: number;
}

export interface DecodeLogObjectOptions extends LogObjectFacts {
  /** More plain bytes than this are refused. */
  readonly plainBytesMax?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The plain frames of a whole object, in order. Only when the last one has come without a failure is it proven that the
 * object has exactly `size` bytes and ends in a seek table that agrees with its frames.
 *
 * @throws CorruptionError naming key and byte
 */
export async function* decodeLogObject(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { key, size, plainBytesMax = Number.MAX_SAFE_INTEGER, signal }: DecodeLogObjectOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const entries: SeekTableEntry[] = [];
  let plainBytes = 0;
  let ended = false;
  for await (const frame of decodeFrames(body, { key, size, signal })) {
    if (ended) throw corruptObject(key, `goes on behind its seek table, at byte ${frame.at}`);
    if (frame.skippable) {
      if (Buffer.compare(frame.bytes, encodeSeekTable(entries)) !== 0) {
        throw corruptObject(key, `has a seek table at byte ${frame.at} that does not agree with its frames`);
      }
      ended = true;
      continue;
    }
    entries.push({ bytes: frame.bytes.byteLength, plainBytes: frame.plain.byteLength });
    plainBytes += frame.plain.byteLength;
    if (plainBytes > plainBytesMax) throw corruptObject(key, `holds more than ${plainBytesMax} plain bytes`);
    if (frame.plain.byteLength === 0 || entries.length > LOG_OBJECT_FRAMES_MAX) {
      throw corruptObject(key, `has a frame at byte ${frame.at} that is empty or one too many`);
    }
    yield frame.plain;
  }
  if (!ended || entries.length === 0) throw corruptObject(key, 'has no seek table at its end, or no data before it');
}

/** One frame of an object, as its seek table tells. */
export interface LogFramePlace {
  /** Where it begins in the object. */
  readonly at: number;
  readonly bytes: number;
  /** Where its data begin in the plain bytes, the segment's 10-byte header included. */
  readonly plainAt: number;
  readonly plainBytes: number;
}

/** Enough of an object's end for the seek table of an object of 256 MiB plain. */
export const LOG_OBJECT_TAIL_BYTES = 16 * 1024;

export type LogObjectIndex =
  | { readonly frames: readonly LogFramePlace[]; readonly plainBytes: number }
  /** `tail` was too short: so many bytes of the object's end are needed. */
  | { readonly need: number };

/** From the last bytes of an object where its frames are. @throws CorruptionError naming key */
export async function readLogObjectIndex(tail: Uint8Array, { key, size }: LogObjectFacts): Promise<LogObjectIndex> {
  return inObject(key, 'in its seek table', async () => {
    if (tail.byteLength < Math.min(size, SEEK_TABLE_FOOTER_BYTES)) return { need: SEEK_TABLE_FOOTER_BYTES };
    const tableBytes = readSeekTableBytes(tail);
    if (tableBytes === null) throw corruptObject(key, 'does not end in a seek table');
    if (tableBytes > size || tableBytes > FRAME_BYTES_MAX) throw corruptObject(key, 'declares too long a seek table');
    if (tableBytes > tail.byteLength) return { need: tableBytes };
    const table = decodeSeekTable(tail);
    const frames: LogFramePlace[] = [];
    let at = 0;
    let plainAt = 0;
    for (const [index, bytes] of table.bytes.entries()) {
      const plainBytes = table.plainBytes[index] ?? 0;
      if (plainBytes === 0 || plainBytes > LOG_FRAME_PLAIN_BYTES_MAX || bytes > FRAME_BYTES_MAX) {
        throw corruptObject(key, `has a seek table with an impossible frame at byte ${at}`);
      }
      frames.push({ at, bytes, plainAt, plainBytes });
      at += bytes;
      plainAt += plainBytes;
    }
    if (at + tableBytes !== size) throw corruptObject(key, 'has a seek table that does not cover exactly its bytes');
    return { frames, plainBytes: plainAt };
  });
}

/** The plain bytes of one frame that was read by its place. @throws CorruptionError naming key and byte */
export async function decodeLogFrame(
  frame: Uint8Array,
  place: LogFramePlace,
  { key }: { readonly key: string },
): Promise<Uint8Array> {
  return inObject(key, `in the frame at byte ${place.at}`, async () => {
    const plain = await decodeFrame(frame, { plainBytesMax: place.plainBytes });
    if (plain.byteLength === place.plainBytes && frame.byteLength === place.bytes) return plain;
    throw corruptObject(key, `has a frame at byte ${place.at} that is not as long as its seek table says`);
  });
}
