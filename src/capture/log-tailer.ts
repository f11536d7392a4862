/**
 * Reads a commit log from a position on, as whole checked commits in order, while a server appends to it.
 *
 * Responsible for: order, checksums, moving from one segment to the next, saying why the log does not go on.
 * Not responsible for: when to look (the replicator's pace), what is stored.
 * Invariants: a run is yielded once; runs are contiguous from the first position on; nothing unchecked is yielded; a
 * segment is left only when its successor holds a commit, since a server deletes an empty successor and goes on in the
 * segment before it.
 */
import { CorruptionError } from '../core/errors.ts';
import type { FileFacts, ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, type TxOffset } from '../core/types.ts';
import { readingFrom } from '../spacetimedb/reading-from.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment, type SegmentReader } from '../spacetimedb/segment-reader.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';
import type { CommitRun, TailPosition } from './commit-run.ts';
import { brokenBefore, requireSameHistory, vanished } from './log-breaks.ts';
import { DAMAGE_HINT, LogDamagedError } from './log-damage.ts';
import { afterRun, isBad, isRun, isWrittenOver, readRun, type Stall } from './read-run.ts';
import { SegmentWatch } from './segment-watch.ts';

export interface LogTailerOptions {
  readonly files: ReadableFiles;
  /** The `clog` directory. */
  readonly directory: string;
  readonly from: TailPosition;
}

export class LogTailer implements AsyncDisposable {
  readonly #files: ReadableFiles;
  readonly #directory: string;
  readonly #watch: SegmentWatch;
  #position: TailPosition;
  #reader: SegmentReader | null = null;
  #stall: Stall | null = null;
  #newestSegment: TxOffset | null = null;
  /** Bytes on disk of the file up to which it has been read, to see growth by a few stat calls. */
  #seenSize = -1;
  /** A successor that held no whole commit when it was looked at. */
  #unentered: { readonly tx: TxOffset; readonly size: number } | null = null;

  constructor({ files, directory, from }: LogTailerOptions) {
    this.#files = files;
    this.#directory = directory;
    this.#position = from;
    this.#watch = new SegmentWatch(files);
  }

  /** After the last run that was yielded. */
  get position(): TailPosition {
    return this.#position;
  }

  /** Why reading stopped where it did; null before the first reading. */
  get stall(): Stall | null {
    return this.#stall;
  }

  /** Whether reading may find something new: three stat calls, no listing. */
  async hasGrown(): Promise<boolean> {
    const reader = this.#reader;
    if (reader === null) return true;
    const named = await this.#facts(reader.path);
    if (named === null || named.inode !== reader.inode) return true;
    if (named.size !== this.#seenSize || (await isWrittenOver(reader, this.#stall))) return true;
    const { nextTx } = this.#position;
    const successor = await this.#facts(reader.siblingPath(nextTx));
    if (successor === null || nextTx === reader.tx || successor.size <= SEGMENT_HEADER_BYTES) return false;
    return this.#unentered?.tx !== nextTx || this.#unentered.size !== successor.size;
  }

  /** Bytes on disk of the files that grow: of the segment that is read, and of its successor. */
  async extent(): Promise<number> {
    const reader = this.#reader;
    if (reader === null) return 0;
    const named = await this.#facts(reader.path);
    const successor = await this.#facts(reader.siblingPath(this.#position.nextTx));
    return (named?.size ?? 0) + (successor?.size ?? 0);
  }

  /** Plain bytes of the segment that is read next, not yet read; Infinity where only opening it could tell. */
  async bytesAhead(): Promise<number> {
    const reader = await this.#guard(this.#open());
    if (reader === null || reader.version === null) return Number.POSITIVE_INFINITY;
    const ahead = (await reader.plainBytes()) - this.#position.at;
    if (ahead > 0) return ahead;
    const successor = await this.#facts(reader.siblingPath(this.#position.nextTx));
    return successor === null ? 0 : Number.POSITIVE_INFINITY;
  }

  /**
   * To be called before what is there now is read and stored: looks whether the files are still the ones that were read.
   *
   * @throws SourceDivergedError when they may not be
   */
  async lookAround(): Promise<void> {
    const listed = await this.#guard(this.#list());
    this.#newestSegment = listed.at(-1)?.tx ?? null;
  }

  /** Whether no later segment was there at the last look, so that what is not read of this one came since. */
  get isInNewestSegment(): boolean {
    return this.#newestSegment === null || this.#newestSegment <= this.#position.segment;
  }

  /**
   * The runs that are there now, of one segment only: at its end the iteration ends, and the next one begins in the
   * successor. Nothing yielded means that the end of the log has been reached.
   *
   * @throws LogDamagedError when a commit is bad or missing although later ones stand
   * @throws SourceDivergedError when the log was cut back, replaced or removed under us, or may have been
   */
  async *runs({
    plainBytesMax,
    signal,
  }: {
    plainBytesMax: number;
    signal?: AbortSignal | undefined;
  }): AsyncGenerator<CommitRun, void, void> {
    let plainBytes = 0;
    let run = await this.#guard(this.#readOrMoveOn(signal));
    while (run !== null) {
      plainBytes += run.end - run.start;
      yield run;
      if (plainBytes >= plainBytesMax) return;
      run = await this.#guard(this.#readOnOrRead(signal));
    }
  }

  async #readOrMoveOn(signal: AbortSignal | undefined): Promise<CommitRun | null> {
    return (await this.#read(signal)) ?? this.#moveOn(signal);
  }

  async #readOnOrRead(signal: AbortSignal | undefined): Promise<CommitRun | null> {
    return (await this.#readOn(signal)) ?? this.#read(signal);
  }

  /** Null at the end of the valid commits of this segment. */
  async #read(signal: AbortSignal | undefined): Promise<CommitRun | null> {
    const reader = await this.#open();
    if (reader === null || reader.version === null) return null;
    // Taken before reading: what is appended meanwhile must count as growth.
    const size = await reader.fileBytes();
    const result = await readRun(reader, this.#position, { signal });
    if (isRun(result)) return this.#accept(reader, result);
    this.#stall = result;
    this.#seenSize = size;
    return null;
  }

  /**
   * Reads on in the file that was just read, without asking whether it still has its name: each question is a turn
   * through the thread pool, which together cost more time than a run's compression. Where it gives nothing, `#read` asks.
   */
  async #readOn(signal: AbortSignal | undefined): Promise<CommitRun | null> {
    const reader = this.#reader;
    if (reader === null || reader.version === null) return null;
    const result = await readRun(reader, this.#position, { signal });
    return isRun(result) ? this.#accept(reader, result) : null;
  }

  #accept(reader: SegmentReader, run: CommitRun): CommitRun {
    this.#position = afterRun(run);
    this.#stall = null;
    // Of a plain file only what lies beyond the run is growth; a compressed one tells by its end.
    if (!reader.compressed) this.#seenSize = run.end;
    return run;
  }

  /** The open segment; opened anew when another file was given its name (compressed in place, or replaced). */
  async #open(): Promise<SegmentReader | null> {
    if (this.#reader !== null) {
      const named = await this.#facts(this.#reader.path);
      const same = named === null || named.inode === this.#reader.inode;
      // A header that was not yet written when the file was opened must be read again.
      if (same && this.#reader.version !== null) {
        await requireSameHistory(this.#reader, this.#position);
        return this.#reader;
      }
      await this.#close();
    }
    const entry = (await this.#list()).find((segment) => segment.tx === this.#position.segment);
    if (entry === undefined) return null;
    this.#reader = await openSegment(this.#files, entry);
    if (this.#reader !== null) await requireSameHistory(this.#reader, this.#position);
    return this.#reader;
  }

  /** At the end of a segment: into the successor if that holds the next commit. Null at the end of the log. */
  async #moveOn(signal: AbortSignal | undefined): Promise<CommitRun | null> {
    const listed = await this.#list();
    // Read once more after listing: what stands before a listed successor's name was written before it appeared.
    const more = await this.#read(signal);
    if (more !== null) return more;
    const { segment, nextTx } = this.#position;
    const later = listed.filter(({ tx }) => tx > segment);
    if (!listed.some(({ tx }) => tx === segment || tx === nextTx)) {
      throw vanished(this.#directory, { position: this.#position, listed });
    }
    for (const entry of later) {
      const run = await this.#enter(entry, signal);
      if (run !== null) return run;
    }
    return null;
  }

  /** Null when `entry` holds no commit (yet). */
  async #enter(entry: SegmentEntry, signal: AbortSignal | undefined): Promise<CommitRun | null> {
    const reader = await openSegment(this.#files, entry);
    if (reader === null) return null;
    let entered = false;
    try {
      if (reader.version === null) return null;
      const at = byteOffset(SEGMENT_HEADER_BYTES);
      // An object ends with its segment: what the next one begins with need not follow this one's epoch.
      const beginning: TailPosition = { ...this.#position, segment: entry.tx, at, nextTx: entry.tx, epoch: null };
      const size = await reader.fileBytes();
      const result = await readRun(reader, beginning, { signal });
      if (!isRun(result)) {
        this.#unentered = { tx: entry.tx, size };
        // What stands there never becomes a commit, and a server deletes a successor only while that is empty.
        entered = entry.tx === this.#position.nextTx && isBad(result);
        if (entered) await this.#leaveFor(reader, beginning, { stall: result, seenSize: size });
        return null;
      }
      if (entry.tx !== this.#position.nextTx) {
        throw brokenBefore(entry, { position: this.#position, stall: this.#stall, path: this.#reader?.path ?? null });
      }
      entered = true;
      await this.#leaveFor(reader, afterRun(result), { stall: null, seenSize: reader.compressed ? -1 : result.end });
      return result;
    } finally {
      if (!entered) await reader.close();
    }
  }

  async #leaveFor(
    reader: SegmentReader,
    position: TailPosition,
    { stall, seenSize }: { stall: Stall | null; seenSize: number },
  ): Promise<void> {
    this.#watch.left(this.#position);
    const left = this.#reader;
    // Ours before the other one is closed, which may fail: whoever ends then closes this one.
    this.#reader = reader;
    this.#position = position;
    this.#stall = stall;
    this.#seenSize = seenSize;
    await left?.close();
  }

  #facts(path: string): Promise<FileFacts | null> {
    return readingFrom(path, () => this.#files.facts(path));
  }

  async #list(): Promise<readonly SegmentEntry[]> {
    const listed = await listSegments(this.#files, this.#directory);
    await this.#watch.look(listed, this.#position);
    return listed;
  }

  /** What a decoder finds wrong in a file is damage of the log at the place where reading is. */
  async #guard<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof CorruptionError) || error instanceof LogDamagedError) throw error;
      const { segment, nextTx: tx, at: byte } = this.#position;
      throw new LogDamagedError(`transaction ${tx} cannot be read: ${error.message}`, {
        cause: error,
        hint: DAMAGE_HINT,
        facts: { ...error.facts, segment, tx, byte },
        damage: this.#position,
      });
    }
  }

  async #close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}

/** Reading a log from its oldest segment on. */
export const beginningOf = (segment: TxOffset, time: TailPosition['time']): TailPosition => ({
  segment,
  at: byteOffset(SEGMENT_HEADER_BYTES),
  nextTx: segment,
  crc: 0 as TailPosition['crc'],
  time,
});
