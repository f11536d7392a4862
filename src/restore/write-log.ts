/**
 * Writes the planned segments. Responsible for: that every byte written belongs to a commit whose checksum is right and
 * that follows the one before; that each object holds what its name says. Not responsible for: what is fetched when
 * (`fetch-parts.ts`), which objects are wanted (`plan.ts`).
 *
 * An object is proven whole only at its end, after the bytes before it went into the staged file: they count only when
 * all of the restore is published.
 */
import { CorruptionError } from '../core/errors.ts';
import type { TimedPosition } from '../core/status.ts';
import { formatPosition, type Micros, micros, type Position, type TxOffset } from '../core/types.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { type FetchOptions, fetchParts, type Part } from './fetch-parts.ts';
import { partCount, PartStream, partsOf } from './part-stream.ts';
import { PieceScan } from './piece-scan.ts';
import type { LogPiece, PlannedSegment } from './plan-types.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { SnapshotCommit } from './snapshot-commit.ts';
import type { TargetSystem } from './target-system.ts';
import { upgradeSegment } from './upgrade-segment.ts';

export interface WriteLogOptions {
  readonly segments: readonly PlannedSegment[];
  readonly timeBefore: Micros | null;
  /** The commit of the restored snapshot as its manifest has it; must be the line's own. Null where there is none. */
  readonly snapshotCommit: SnapshotCommit | null;
  /** Begin the log with `snapshotCommit`. */
  readonly commitFromManifest: boolean;
  readonly clogDir: string;
  readonly system: TargetSystem;
  readonly fetch: FetchOptions;
  readonly partBytes: number;
  readonly onObject: () => void;
}

export interface WrittenLog {
  /** As stored: where the last segment was written in another format version, its checksum is another one on disk. */
  readonly end: TimedPosition;
  readonly segments: number;
  readonly plainBytes: number;
  readonly warnings: readonly string[];
}

/** @throws CorruptionError, LocalFileError, and what the store's client throws */
export async function writeLog(options: WriteLogOptions): Promise<WrittenLog> {
  await using log = new LogWriter(options);
  const { snapshotCommit, commitFromManifest, fetch, partBytes } = options;
  if (commitFromManifest && snapshotCommit !== null) await log.writeManifestCommit(snapshotCommit);
  const pieces = options.segments.flatMap(({ pieces }) => pieces);
  await using stream = new PartStream(fetchParts(partsOfAll(pieces, partBytes), fetch));
  for (const piece of pieces) {
    await log.writePiece(piece, stream.next(partCount(piece.object, partBytes)));
    options.onObject();
  }
  return await log.finish();
}

function* partsOfAll(pieces: readonly LogPiece[], partBytes: number): Generator<Part, void, void> {
  for (const { object } of pieces) yield* partsOf(object, partBytes);
}

class LogWriter implements AsyncDisposable {
  readonly #options: WriteLogOptions;
  readonly #warnings: string[] = [];
  #writer: SegmentWriter | null = null;
  /** What the current segment's last piece came from. */
  #piece: LogPiece | null = null;
  #end: Position | null = null;
  #time: Micros | null;
  #segments = 0;
  #plainBytes = 0;

  constructor(options: WriteLogOptions) {
    this.#options = options;
    this.#time = options.timeBefore;
  }

  async writeManifestCommit(commit: SnapshotCommit): Promise<void> {
    const writer = await this.#begin(commit.first, commit.bytes.subarray(0, SEGMENT_HEADER_BYTES));
    writer.noteCommit(commit.facts);
    // A copy: another attempt may need it again.
    await writer.write(Uint8Array.from(commit.bytes.subarray(SEGMENT_HEADER_BYTES)));
    this.#end = commit.position;
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
      if (scan.reachedCut) break;
    }
    if (scan === null) throw new CorruptionError(`the log object ${key} is empty`, { facts: { key } });
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
    if (last.version === 0) await this.#upgrade(last, end);
    return {
      end: { ...end, time: this.#time ?? micros(0n) },
      segments: this.#segments,
      plainBytes: this.#plainBytes,
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
  async #upgrade({ first, bytes }: SegmentWriter, { tx: lastTx }: Position): Promise<void> {
    const { clogDir, system, fetch } = this.#options;
    this.#plainBytes += (await upgradeSegment({ clogDir, system, first, lastTx, signal: fetch.signal })) - bytes;
    this.#warnings.push(
      `The log ends in a segment of format version 0, which SpacetimeDB does not open as the last one: the segment that ` +
        `begins at transaction ${first} was written as version 1. It holds the same transactions, with other checksums.`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]();
  }
}
