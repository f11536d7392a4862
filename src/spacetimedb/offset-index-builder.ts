/** The offset index of a segment, as the engine (2.12) makes it when it flushes each commit. Source: FORMAT.md. */
import type { ByteOffset } from '../core/types.ts';
import type { CommitFacts } from './commit-facts.ts';
import {
  encodeOffsetIndex,
  OFFSET_INDEX_ENTRY_BYTES,
  OFFSET_INDEX_INTERVAL_BYTES,
  type OffsetIndexEntry,
} from './offset-index.ts';

/** A state of a builder that it can go back to. */
export interface OffsetIndexMark {
  readonly entries: number;
  readonly candidate: OffsetIndexEntry | null;
  readonly bytesSinceEntry: number;
}

/**
 * The first commit after an entry is the candidate for the next one, and becomes it once the commits since the entry
 * have an interval's bytes. So the newest candidate is not in the index, and the commit at offset 0, which cannot be a
 * key, only counts with its bytes.
 */
export class OffsetIndexBuilder {
  readonly #entries: OffsetIndexEntry[] = [];
  #candidate: OffsetIndexEntry | null = null;
  #bytesSinceEntry = 0;

  get entries(): readonly OffsetIndexEntry[] {
    return this.#entries;
  }

  /** Takes each commit of the segment, in order. */
  add({ tx, start, end }: Pick<CommitFacts, 'tx' | 'start' | 'end'>): void {
    if (this.#candidate === null && tx !== 0n) this.#candidate = { tx, at: start };
    this.#bytesSinceEntry += end - start;
    if (this.#candidate === null || this.#bytesSinceEntry < OFFSET_INDEX_INTERVAL_BYTES) return;
    this.#entries.push(this.#candidate);
    this.#candidate = null;
    this.#bytesSinceEntry = 0;
  }

  mark(): OffsetIndexMark {
    return { entries: this.#entries.length, candidate: this.#candidate, bytesSinceEntry: this.#bytesSinceEntry };
  }

  /** Forgets the commits since `mark`. */
  rewind({ entries, candidate, bytesSinceEntry }: OffsetIndexMark): void {
    this.#entries.length = entries;
    this.#candidate = candidate;
    this.#bytesSinceEntry = bytesSinceEntry;
  }

  /**
   * The file of a segment of `plainBytes`: with room for as many entries as the engine would preallocate for a segment
   * that may not grow.
   */
  encode(plainBytes: ByteOffset): Uint8Array {
    const room = Math.floor(plainBytes / OFFSET_INDEX_INTERVAL_BYTES) * OFFSET_INDEX_ENTRY_BYTES;
    return encodeOffsetIndex(this.#entries, room);
  }
}
