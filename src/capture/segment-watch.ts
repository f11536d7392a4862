/**
 * Whether the files that have been read are still the ones that were read: compared at each listing.
 *
 * A server appends to the newest segment, replaces closed ones by the same bytes in zstd, and deletes leading ones.
 * Whatever else happened to a file (another one under its name that is not compressed, another size, gone from the
 * middle) may mean another history: then all that is stored is compared anew before anything more is stored.
 */
import { SourceDivergedError } from '../core/errors.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, type ByteOffset, type Crc32c, type TxOffset } from '../core/types.ts';
import { COMMIT_CRC_BYTES } from '../spacetimedb/commit.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import type { SegmentEntry } from '../spacetimedb/segments.ts';

/** Up to where a segment has been read, and the checksum of the commit that ends there. */
export interface ReadUpTo {
  readonly segment: TxOffset;
  readonly at: ByteOffset;
  readonly crc: Crc32c;
}

/** Of so many segments the ends are remembered; of older ones the size must do. */
const ENDS_KEPT_MAX = 1024;

export class SegmentWatch {
  readonly #files: ReadableFiles;
  #before: readonly SegmentEntry[] | null = null;
  readonly #ends = new Map<TxOffset, ReadUpTo>();

  constructor(files: ReadableFiles) {
    this.#files = files;
  }

  /** To be told when a segment has been read to its end. */
  left(end: ReadUpTo): void {
    this.#ends.set(end.segment, end);
    const oldest = this.#ends.keys().next();
    if (this.#ends.size > ENDS_KEPT_MAX && !oldest.done) this.#ends.delete(oldest.value);
  }

  /**
   * Compares a listing with the one before.
   *
   * @param now where reading is
   * @throws SourceDivergedError when what has been read may no longer be what stands there
   */
  async look(listed: readonly SegmentEntry[], now: ReadUpTo): Promise<void> {
    const before = this.#before;
    this.#before = listed;
    if (before === null) return;
    const byTx = new Map(listed.map((entry) => [entry.tx, entry]));
    for (const entry of before) {
      if (entry.tx > now.segment) break;
      const after = byTx.get(entry.tx);
      const why = after === undefined ? whyGone(entry, listed) : await this.#whyChanged(entry, after, now);
      if (why === null) continue;
      throw new SourceDivergedError(`${entry.path} ${why}: the whole log is looked at again`, {
        facts: { path: entry.path, segment: entry.tx },
      });
    }
  }

  async #whyChanged(before: SegmentEntry, after: SegmentEntry, now: ReadUpTo): Promise<string | null> {
    const isSameFile = before.inode === after.inode && before.device === after.device;
    const isCurrent = before.tx === now.segment;
    // The file that is read is looked at by its own last commit at each reading.
    if (isSameFile && (isCurrent || before.size === after.size)) return null;
    const end = isCurrent ? now : this.#ends.get(before.tx);
    const reader = await openSegment(this.#files, after);
    // Gone again: the next listing tells.
    if (reader === null) return null;
    await using _ = reader;
    if (!isSameFile && !reader.compressed) return 'was replaced by another file';
    const plainBytes = await reader.plainBytes();
    if (end === undefined) {
      return !isSameFile && plainBytes <= before.size ? null : 'changed although it was closed';
    }
    if (end.at === SEGMENT_HEADER_BYTES) return null;
    if (plainBytes < end.at) return 'was cut back';
    const ending = await reader.read(byteOffset(end.at - COMMIT_CRC_BYTES), COMMIT_CRC_BYTES);
    return Buffer.from(ending).readUInt32LE() === end.crc ? null : 'was written anew';
  }
}

/** Leading segments are deleted, and an empty last one is; nothing else. Where all are gone the reader knows better. */
function whyGone({ tx, size }: SegmentEntry, listed: readonly SegmentEntry[]): string | null {
  const isLeading = listed.every((other) => other.tx > tx);
  return isLeading || size <= SEGMENT_HEADER_BYTES ? null : 'is gone although older segments stand';
}
