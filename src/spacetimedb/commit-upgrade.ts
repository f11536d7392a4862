/**
 * Commits of format version 0 as commits of version 1: the same offsets, counts and records, an epoch of 0, and new
 * checksums, since those cover the header. Source: FORMAT.md, "Commit".
 *
 * Pushed bytes in any split; memory is that of one pushed chunk, also for a commit of 4 GiB.
 */
import { crc32c } from '../core/checksum.ts';
import { assert, CorruptionError } from '../core/errors.ts';
import type { Crc32c } from '../core/types.ts';
import { COMMIT_CRC_BYTES, COMMIT_HEADER_BYTES } from './commit.ts';

const OLD_HEADER_BYTES = COMMIT_HEADER_BYTES[0];
const NEW_HEADER_BYTES = COMMIT_HEADER_BYTES[1];
/** What both versions begin with: the offset. The epoch goes behind it. */
const OFFSET_BYTES = 8;

export class CommitUpgrade {
  /** A header, or a checksum, that came in parts. */
  readonly #gathered = new Uint8Array(OLD_HEADER_BYTES);
  #gatheredBytes = 0;
  #state: 'header' | 'records' | 'checksum' = 'header';
  #recordsLeft = 0;
  #oldCrc: Crc32c | undefined;
  #newCrc: Crc32c | undefined;

  /**
   * Takes the bytes that follow those pushed before, without the segment's header; gives the same of version 1, in
   * memory of its own.
   *
   * @throws CorruptionError where a commit does not have the checksum that it names
   */
  push(bytes: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.byteLength; ) {
      if (this.#state === 'records') {
        const some = bytes.subarray(at, at + this.#recordsLeft);
        at += some.byteLength;
        this.#takeRecords(some);
        parts.push(some);
      } else {
        at += this.#gather(bytes.subarray(at));
        const done = this.#state === 'header' ? this.#takeHeader() : this.#takeChecksum();
        if (done !== null) parts.push(done);
      }
    }
    return Buffer.concat(parts);
  }

  /** To be asked after the last byte: whether that was the end of a commit. */
  get isComplete(): boolean {
    return this.#state === 'header' && this.#gatheredBytes === 0;
  }

  #gather(bytes: Uint8Array): number {
    const wanted = this.#state === 'header' ? OLD_HEADER_BYTES : COMMIT_CRC_BYTES;
    const some = bytes.subarray(0, wanted - this.#gatheredBytes);
    this.#gathered.set(some, this.#gatheredBytes);
    this.#gatheredBytes += some.byteLength;
    return some.byteLength;
  }

  #takeHeader(): Uint8Array | null {
    if (this.#gatheredBytes < OLD_HEADER_BYTES) return null;
    const old = this.#gathered;
    const header = new Uint8Array(NEW_HEADER_BYTES);
    header.set(old.subarray(0, OFFSET_BYTES));
    header.set(old.subarray(OFFSET_BYTES), OFFSET_BYTES + NEW_HEADER_BYTES - OLD_HEADER_BYTES);
    this.#oldCrc = crc32c(old);
    this.#newCrc = crc32c(header);
    this.#recordsLeft = new DataView(old.buffer).getUint32(OLD_HEADER_BYTES - 4, true);
    this.#gatheredBytes = 0;
    this.#state = this.#recordsLeft === 0 ? 'checksum' : 'records';
    return header;
  }

  #takeRecords(bytes: Uint8Array): void {
    this.#oldCrc = crc32c(bytes, this.#oldCrc);
    this.#newCrc = crc32c(bytes, this.#newCrc);
    this.#recordsLeft -= bytes.byteLength;
    if (this.#recordsLeft === 0) this.#state = 'checksum';
  }

  #takeChecksum(): Uint8Array | null {
    if (this.#gatheredBytes < COMMIT_CRC_BYTES) return null;
    const stored = new DataView(this.#gathered.buffer).getUint32(0, true);
    if (stored !== this.#oldCrc) throw new CorruptionError('a commit of version 0 does not have the checksum it names');
    const checksum = new Uint8Array(COMMIT_CRC_BYTES);
    assert(this.#newCrc !== undefined, 'records follow a header');
    new DataView(checksum.buffer).setUint32(0, this.#newCrc, true);
    this.#gatheredBytes = 0;
    this.#state = 'header';
    return checksum;
  }
}
