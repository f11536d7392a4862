/** The ten bytes at the start of each segment. Source: FORMAT.md, "Segment header". */
import { assert, CorruptionError, UnsupportedFormatError } from '../core/errors.ts';

export const SEGMENT_HEADER_BYTES = 10;
/** "(ds)^2" */
export const SEGMENT_MAGIC: Uint8Array = Buffer.from('(ds)^2', 'ascii');
export const SEGMENT_VERSION_OFFSET = 6;
export const SEGMENT_CHECKSUM_OFFSET = 7;
/** The only checksum algorithm: CRC32C. */
export const CHECKSUM_CRC32C = 0;
export const SEGMENT_VERSION_MAX = 1;

assert(SEGMENT_MAGIC.byteLength === SEGMENT_VERSION_OFFSET, 'the version follows the magic');

/** Version 1 has an epoch in each commit; version 0 has none. */
export type LogVersion = 0 | 1;

export interface SegmentHeader {
  readonly version: LogVersion;
}

export interface SegmentContext {
  /** The segment's path or key, for messages. */
  readonly path?: string;
}

/**
 * Reads the first 10 bytes of `bytes`. The two reserved bytes are not looked at.
 *
 * @throws CorruptionError when they are no segment header, or fewer than 10
 * @throws UnsupportedFormatError for another version or checksum algorithm than are known
 */
export function decodeSegmentHeader(bytes: Uint8Array, { path = 'the segment' }: SegmentContext = {}): SegmentHeader {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES || SEGMENT_MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw new CorruptionError(`${path} does not begin with the header of a SpacetimeDB commit log segment`, {
      facts: { path },
    });
  }
  const version = bytes[SEGMENT_VERSION_OFFSET];
  const checksum = bytes[SEGMENT_CHECKSUM_OFFSET];
  if ((version !== 0 && version !== 1) || checksum !== CHECKSUM_CRC32C) {
    throw new UnsupportedFormatError(
      `${path} has format version ${version} and checksum algorithm ${checksum}; known are versions 0 to ` +
        `${SEGMENT_VERSION_MAX} and algorithm ${CHECKSUM_CRC32C}`,
      {
        hint: 'A newer SpacetimeDB may have written it: use a release of stdb-replicate that knows this version.',
        facts: { path, version: version ?? null, checksum: checksum ?? null },
      },
    );
  }
  return { version };
}

/** The 10 bytes that the engine writes. */
export function encodeSegmentHeader({ version }: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  bytes.set(SEGMENT_MAGIC);
  bytes[SEGMENT_VERSION_OFFSET] = version;
  bytes[SEGMENT_CHECKSUM_OFFSET] = CHECKSUM_CRC32C;
  return bytes;
}
