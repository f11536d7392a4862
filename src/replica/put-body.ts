/** What stores do with the forms a body can have, and with the ranges that are asked of it. */
import { assert } from '../core/errors.ts';
import { type ByteRange, openBody, type PutBody, type StreamBody, UnsupportedByStoreError } from './replica-client.ts';

export const isStream = (body: PutBody): body is StreamBody => 'open' in body;

/** Bytes of a body that is in memory; null for one that streams. */
export function bodyBytes(body: PutBody): number | null {
  if (body instanceof Uint8Array) return body.byteLength;
  if (isStream(body)) return null;
  return body.reduce((bytes, part) => bytes + part.byteLength, 0);
}

/** The same memory as a Buffer, not a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export interface GatherOptions {
  readonly signal?: AbortSignal | undefined;
  /** @throws UnsupportedByStoreError when a stream is longer */
  readonly bytesMax?: number;
}

/** The whole body as one Buffer: the caller's own memory where it already is in one piece, else a copy. */
export async function gatherBody(body: PutBody, options: GatherOptions = {}): Promise<Buffer> {
  const { signal, bytesMax = Number.POSITIVE_INFINITY } = options;
  if (body instanceof Uint8Array) return asBuffer(body);
  if (!isStream(body)) return body.length === 1 && body[0] ? asBuffer(body[0]) : Buffer.concat(body);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of openBody(body)) {
    signal?.throwIfAborted();
    bytes += part.byteLength;
    if (bytes > bytesMax) throw new UnsupportedByStoreError(`a body of more than ${bytesMax} bytes`);
    // A stream may give the same buffer again with other bytes.
    parts.push(Uint8Array.from(part));
  }
  return Buffer.concat(parts, bytes);
}

/**
 * The part of an object of `size` bytes that `range` asks for.
 *
 * @throws RangeError when it begins at or beyond the end
 */
export function resolveRange(range: ByteRange | undefined, size: number): ByteRange {
  if (range === undefined) return { start: 0, endExclusive: size };
  checkRange(range);
  if (range.start >= size) throw new RangeError(`bytes from ${range.start} of an object of ${size} bytes`);
  return { start: range.start, endExclusive: Math.min(range.endExclusive, size) };
}

/** An empty or negative range is our bug. */
export function checkRange({ start, endExclusive }: ByteRange): void {
  assert(
    Number.isSafeInteger(start) && Number.isSafeInteger(endExclusive) && start >= 0 && endExclusive > start,
    `not a range of bytes: [${start}, ${endExclusive})`,
  );
}
