/**
 * Writes a log piece by piece. Responsible for: that every byte written belongs to a commit whose checksum is right and
 * that follows the one before; that each object holds what its name says.
 *
 * An object is proven whole only at its end, after the bytes before it went into the staged file: they count only when
 * all of the restore is published. What an earlier attempt left of the planned segments is proven in the same way, from
 * the first piece on, as far as it is whole; nothing else of it is used.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CorruptionError, localFileError } from '../core/errors.ts';
import type { TimedPosition } from '../core/status.ts';
import { type Crc32c, formatPosition, type Micros, micros, type Position, type TxOffset } from '../core/types.ts';
import type { LogObject } from '../layout/keys.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import { formatOffsetIndexName, formatSegmentName } from '../spacetimedb/file-names.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import type { FetchOptions } from './fetch-parts.ts';
import { LeftoverSegment } from './leftover-segment.ts';
import { PieceScan, type PieceSink } from './piece-scan.ts';
import type { LogPiece } from './plan-types.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { SnapshotCommit } from './snapshot-commit.ts';
import type { TargetSystem } from './target-system.ts';
import { upgradeSegment } from './upgrade-segment.ts';

export interface LogWriterOptions {
  readonly timeBefore: Micros | null;
  /** The commit of the restored snapshot as its manifest has it; must be the line's own. Null where there is none. */
  readonly snapshotCommit: SnapshotCommit | null;
  readonly clogDir: string;
  readonly system: TargetSystem;
  readonly fetch: FetchOptions;
  /** Go on with what `clogDir` holds of an earlier attempt at the same line; called for each object that it holds. */
  readonly onReused?: ((object: LogObject) => void) | undefined;
}

export interface WrittenLog {
  /** As stored: where the last segment was written in another format version, its checksum is another one on disk. */
  readonly end: TimedPosition;
  /** Of the last commit as it lies on disk. */
  readonly crcOnDisk: Crc32c;
  readonly segments: number;
  readonly plainBytes: number;
  /** Of these, what was there from an earlier attempt. */
  readonly reusedBytes: number;
  readonly warnings: readonly string[];
}

export class LogWriter implements AsyncDisposable {
  readonly #options: LogWriterOptions;
  readonly #warnings: string[] = [];
  #writer: SegmentWriter | null = null;
  /** What the current segment's last piece came from. */
  #piece: LogPiece | null = null;
  #end: Position | null = null;
  #time: Micros | null;
  #segments = 0;
  #plainBytes = 0;
  #reusedBytes = 0;
  /** Files of this log. */
  readonly #names = new Set<string>();
  /** What the current segment's file holds of an earlier attempt, while it is read. */
  #leftover: LeftoverSegment | null = null;

  constructor(options: LogWriterOptions) {
    this.#options = options;
    this.#time = options.timeBefore;
  }

  async writeManifestCommit(commit: SnapshotCommit): Promise<void> {
    // A file of one commit is as quickly made as read.
    if (this.#options.onReused !== undefined) await this.#remove(namesOf(commit.first));
    const writer = await this.#begin(commit.first, commit.bytes.subarray(0, SEGMENT_HEADER_BYTES));
    writer.noteCommit(commit.facts);
    // A copy: another attempt may need it again.
    await writer.write(Uint8Array.from(commit.bytes.subarray(SEGMENT_HEADER_BYTES)));
    this.#end = commit.position;
  }

  /** Gives how many of the pieces, from the first on, are there already; what else lies in the directory is removed. */
  async reuse(pieces: readonly LogPiece[], onReused: (object: LogObject) => void): Promise<number> {
    const { clogDir, fetch } = this.#options;
    const present = new Set(await readdir(clogDir));
    let count = 0;
    try {
      for (const piece of pieces) {
        fetch.signal.throwIfAborted();
        if (!(await this.#reusePiece(piece, present))) break;
        onReused(piece.object);
        count += 1;
      }
    } finally {
      await this.#leftover?.[Symbol.asyncDispose]();
      this.#leftover = null;
    }
    await this.#remove((await readdir(clogDir)).filter((name) => !this.#names.has(name)));
    return count;
  }

  async #reusePiece(piece: LogPiece, present: ReadonlySet<string>): Promise<boolean> {
    this.#checkFollows(piece);
    if (!(await this.#openLeftover(piece, present))) return false;
    const [writer, leftover] = [this.#writer, this.#leftover];
    if (writer === null || leftover === null) return false;
    const mark = writer.mark();
    try {
      const { snapshotCommit } = this.#options;
      const scan = new PieceScan(piece, keptIn(writer), { timeBefore: this.#time, snapshotCommit, withinFile: true });
      for await (const slice of leftover.slicesFrom(writer.bytes, piece.object.size)) {
        await scan.push(slice);
        if (scan.isComplete) break;
      }
      this.#passed(piece, scan);
      this.#reusedBytes += writer.bytes - mark.bytes;
      return true;
    } catch (error) {
      // Cut short, damaged, or of another plan: from here on it is fetched.
      if (!(error instanceof CorruptionError)) throw error;
      if (mark.bytes > SEGMENT_HEADER_BYTES) writer.rewind(mark);
      else await this.#abandon(writer);
      return false;
    }
  }

  /** Opens the file that an earlier attempt would have written the piece to. False where there is none. */
  async #openLeftover({ object: { first, segment } }: LogPiece, present: ReadonlySet<string>): Promise<boolean> {
    const isPresent = present.has(formatSegmentName(first));
    // Where the segment goes on, there is a file of its own only if the header changed: such a thing is fetched.
    if (this.#piece?.object.segment === segment) return !isPresent;
    if (!isPresent) return false;
    const { clogDir, system } = this.#options;
    const found = await LeftoverSegment.open(clogDir, first);
    if (found === null) return false;
    await this.#leftover?.[Symbol.asyncDispose]();
    this.#leftover = found;
    await this.#finishSegment();
    const { header, version } = found;
    this.#writer = await SegmentWriter.reopen({ clogDir, system, first, header, version });
    for (const name of namesOf(first)) this.#names.add(name);
    return true;
  }

  /** Of a file that holds nothing of its first piece, nothing is left. */
  async #abandon(writer: SegmentWriter): Promise<void> {
    this.#writer = null;
    await writer[Symbol.asyncDispose]();
    for (const name of namesOf(writer.first)) this.#names.delete(name);
  }

  async #remove(names: readonly string[]): Promise<void> {
    const { clogDir } = this.#options;
    try {
      for (const name of names) await rm(join(clogDir, name), { recursive: true, force: true });
    } catch (error) {
      throw localFileError('clear', clogDir, error);
    }
  }

  async writePiece(piece: LogPiece, body: AsyncIterable<Uint8Array>): Promise<void> {
    const { key } = piece.object;
    this.#checkFollows(piece);
    let scan: PieceScan | null = null;
    for await (const frame of decodeLogObject(body, piece.object)) {
      let bytes = frame;
      if (scan === null) {
        const writer = await this.#segmentFor(piece, bytes.subarray(0, SEGMENT_HEADER_BYTES));
        bytes = bytes.subarray(SEGMENT_HEADER_BYTES);
        scan = new PieceScan(piece, writer, { timeBefore: this.#time, snapshotCommit: this.#options.snapshotCommit });
      }
      await scan.push(bytes);
      if (scan.isComplete) break;
    }
    if (scan === null) throw new CorruptionError(`the log object ${key} is empty`, { facts: { key } });
    this.#passed(piece, scan);
  }

  /** @throws CorruptionError where the piece is not whole, or not what its name says */
  #passed(piece: LogPiece, scan: PieceScan): void {
    const { end, warning } = scan.finish();
    if (warning !== null) this.#warnings.push(warning);
    this.#end = end;
    this.#time = end.time;
    this.#piece = piece;
  }

  async finish(): Promise<WrittenLog> {
    const last = this.#writer;
    const end = this.#end;
    if (last === null || end === null) throw new CorruptionError('the plan of this restore holds no commit');
    await this.#finishSegment();
    const crcOnDisk = last.version === 0 ? await this.#upgrade(last, end) : end.crc;
    return {
      end: { ...end, time: this.#time ?? micros(0n) },
      crcOnDisk,
      segments: this.#segments,
      plainBytes: this.#plainBytes,
      reusedBytes: this.#reusedBytes,
      warnings: this.#warnings,
    };
  }

  /** Names were compared when the plan was made; here it is the bytes that were really written. */
  #checkFollows({ object }: LogPiece): void {
    const end = this.#end;
    if (end === null || (object.first === end.tx + 1n && object.prev === end.crc)) return;
    throw new CorruptionError(`the log object ${object.key} does not follow ${formatPosition(end)}`, {
      facts: { key: object.key },
    });
  }

  /** The segment that the piece goes on in, or a new one: docs/decisions/0002-restored-segment-files.md. */
  async #segmentFor({ object }: LogPiece, header: Uint8Array): Promise<SegmentWriter> {
    decodeSegmentHeader(header, { path: object.key });
    const before = this.#piece?.object;
    if (this.#writer !== null && before?.segment === object.segment) {
      if (Buffer.compare(this.#writer.header, header) === 0) return this.#writer;
      if (before.generation === object.generation) {
        throw new CorruptionError(`the log object ${object.key} has another header than the rest of its segment`, {
          facts: { key: object.key },
        });
      }
    }
    return await this.#begin(object.first, header);
  }

  async #begin(first: TxOffset, header: Uint8Array): Promise<SegmentWriter> {
    await this.#finishSegment();
    const { clogDir, system } = this.#options;
    const { version } = decodeSegmentHeader(header);
    this.#writer = await SegmentWriter.create({ clogDir, system, first, header, version });
    for (const name of namesOf(first)) this.#names.add(name);
    return this.#writer;
  }

  async #finishSegment(): Promise<void> {
    if (this.#writer === null) return;
    await this.#writer.finish();
    this.#segments += 1;
    this.#plainBytes += this.#writer.bytes;
    this.#writer = null;
  }

  /** docs/decisions/0002-restored-segment-files.md, "A log that ends in version 0". */
  async #upgrade({ first, bytes }: SegmentWriter, { tx: lastTx }: Position): Promise<Crc32c> {
    const { clogDir, system, fetch } = this.#options;
    const upgraded = await upgradeSegment({ clogDir, system, first, lastTx, signal: fetch.signal });
    this.#plainBytes += upgraded.bytes - bytes;
    this.#warnings.push(
      `The log ends in a segment of format version 0, which SpacetimeDB does not open as the last one: the segment that ` +
        `begins at transaction ${first} was written as version 1. It holds the same transactions, with other checksums.`,
    );
    return upgraded.crc;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]();
  }
}

const namesOf = (first: TxOffset): readonly string[] => [formatSegmentName(first), formatOffsetIndexName(first)];

/** For bytes that the segment's file holds already: they are counted. */
const keptIn = (writer: SegmentWriter): PieceSink => ({
  version: writer.version,
  get bytes() {
    return writer.bytes;
  },
  noteCommit: (facts) => writer.noteCommit(facts),
  write: async (bytes) => writer.keep(bytes.byteLength),
});
