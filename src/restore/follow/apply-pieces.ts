/**
 * Appends pieces of the line to a standby's log. Responsible for: that every byte belongs to a commit whose checksum is
 * right and that follows the one before; that each object holds what its name says, before any of it counts.
 */
import { CorruptionError, UnsupportedFormatError } from '../../core/errors.ts';
import { byteOffset, formatPosition, type Position, samePosition } from '../../core/types.ts';
import { decodeLogObject } from '../../layout/log-object.ts';
import { type CommitFacts, CommitScanner } from '../../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../spacetimedb/segment-header.ts';
import { type FetchOptions, fetchParts, type Part } from '../fetch-parts.ts';
import { isUnusable, UnusableObject } from '../follow-plan.ts';
import { partBytesFor, partCount, PartStream, partsOf } from '../part-stream.ts';
import type { FollowPiece } from './decide.ts';
import type { StandbyLog } from './standby-log.ts';
import type { StandbyPosition } from './standby-position.ts';
import type { StandbySegment } from './standby-segment.ts';

/** Made durable after so many bytes, and at the end. */
const SYNC_BYTES = 64 * 1024 * 1024;

/** The standby's last commit is not that of the line. */
export class LeftBehindError extends Error {}

export interface ApplyOptions {
  readonly fetch: FetchOptions;
  /** Source segment of the commit at the log's end; null where that is not known. */
  readonly segment: StandbyPosition['segment'] | null;
  /** Called before anything of a piece is written. */
  readonly onBegin: () => Promise<void>;
  /** Called when the log is durable up to there. */
  readonly onDurable: (position: StandbyPosition) => Promise<void>;
  readonly onObject: (piece: FollowPiece) => void;
}

/**
 * After a failure or abort the log holds whole pieces alone.
 *
 * @throws UnusableObject where an object is damaged or gone; LeftBehindError; LocalFileError, and what the client throws
 */
export async function applyPieces(
  log: StandbyLog,
  pieces: readonly FollowPiece[],
  options: ApplyOptions,
): Promise<void> {
  const { fetch, onDurable } = options;
  const partBytes = partBytesFor(fetch.budget.bytesMax);
  let { segment } = options;
  let reached: StandbyPosition | null = null;
  let unsynced = 0;
  const settle = async (): Promise<void> => {
    await log.sync();
    if (reached !== null) await onDurable(reached);
    reached = null;
    unsynced = 0;
  };
  await using stream = new PartStream(fetchParts(partsOfAll(pieces, partBytes), fetch));
  try {
    for (const piece of pieces) {
      const body = stream.next(partCount(piece.object, partBytes));
      unsynced += await new PieceWriter(log, piece, { ...options, segment }).write(body, fetch.signal);
      ({ segment } = piece.object);
      const { generation, time } = piece.object;
      reached = { ...log.position, time, generation, segment };
      options.onObject(piece);
      if (unsynced >= SYNC_BYTES) await settle();
    }
  } catch (error) {
    await settle();
    throw error;
  }
  await settle();
}

function* partsOfAll(pieces: readonly FollowPiece[], partBytes: number): Generator<Part, void, void> {
  for (const { object } of pieces) yield* partsOf(object, partBytes);
}

const notFollowed = (key: string): UnsupportedFormatError =>
  new UnsupportedFormatError(`${key} is of log format version 0, which a standby cannot follow`, {
    hint: 'Restore without -follow: that writes the end of such a log anew, as version 1.',
    facts: { key },
  });

class PieceWriter {
  readonly #log: StandbyLog;
  readonly #piece: FollowPiece;
  readonly #continues: boolean;
  readonly #onBegin: () => Promise<void>;
  #segment: StandbySegment | null = null;
  #scanner: CommitScanner | null = null;
  #header: Uint8Array = new Uint8Array(0);
  /** Commits of one frame, by their places in the object's plain bytes. */
  readonly #noted: Pick<CommitFacts, 'tx' | 'start' | 'end'>[] = [];
  /** In the object's plain bytes: where what is wanted begins and ends. */
  #from = SEGMENT_HEADER_BYTES;
  #to: number | null = null;
  #passed: boolean;
  /** Where in the segment's file the first wanted commit goes. */
  #base = 0;
  #last: Position | null = null;

  constructor(log: StandbyLog, piece: FollowPiece, { segment, onBegin }: Pick<ApplyOptions, 'segment' | 'onBegin'>) {
    const { object, after } = piece;
    this.#log = log;
    this.#piece = piece;
    this.#onBegin = onBegin;
    this.#passed = after === null;
    // Where it is not known: an object that does not begin a segment goes on in that of the commit before it.
    this.#continues = after !== null || (segment === null ? object.segment < object.first : object.segment === segment);
  }

  /** Gives the bytes that were appended. */
  async write(body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    const { object } = this.#piece;
    try {
      let at = 0;
      for await (const frame of decodeLogObject(body, { ...object, signal })) {
        await this.#push(frame, at);
        at += frame.byteLength;
        if (this.#to !== null) break;
      }
      return this.#finish();
    } catch (error) {
      await this.#log.rewind();
      if (isUnusable(error)) throw new UnusableObject(object.key, error);
      throw error;
    }
  }

  /** @param at where the frame begins in the object's plain bytes */
  async #push(frame: Uint8Array, at: number): Promise<void> {
    const scanner = (this.#scanner ??= this.#scan(frame));
    scanner.push(at === 0 ? frame.subarray(SEGMENT_HEADER_BYTES) : frame);
    const { problem } = scanner;
    if (problem !== null && this.#to === null) {
      throw this.#corrupt(`holds a bad commit where transaction ${problem.tx} should be (${problem.kind})`);
    }
    // Until then it is not known whether the object is of the standby's history: nothing is touched.
    if (!this.#passed) return;
    const segment = await this.#open();
    const shift = this.#base - this.#from;
    for (const { tx, start, end } of this.#noted.splice(0)) {
      segment.noteCommit({ tx, start: byteOffset(start + shift), end: byteOffset(end + shift) });
    }
    const from = Math.max(this.#from - at, 0);
    const to = this.#to === null ? frame.byteLength : this.#to - at;
    if (from < to) await segment.write(frame.subarray(from, to));
  }

  #scan(frame: Uint8Array): CommitScanner {
    const { object } = this.#piece;
    this.#header = Uint8Array.from(frame.subarray(0, SEGMENT_HEADER_BYTES));
    const { version } = decodeSegmentHeader(this.#header, { path: object.key });
    // A server does not open a log that ends in such a segment, and nobody knows when one of version 1 will follow.
    if (version === 0) throw notFollowed(object.key);
    return new CommitScanner({ version, expectedTx: object.first, onCommit: (facts) => this.#note(facts) });
  }

  async #open(): Promise<StandbySegment> {
    if (this.#segment !== null) return this.#segment;
    await this.#onBegin();
    const segment = await this.#log.segmentFor(this.#piece.object, this.#header, this.#continues);
    this.#segment = segment;
    this.#base = segment.bytes;
    return segment;
  }

  #note(facts: CommitFacts): void {
    const { after, cut } = this.#piece;
    if (this.#to !== null) return;
    const { lastTx: tx, crc } = facts;
    if (!this.#passed) {
      if (after === null || tx < after.tx) return;
      if (tx !== after.tx || crc !== after.crc) throw new LeftBehindError(formatPosition(after));
      this.#passed = true;
      this.#from = facts.end;
      return;
    }
    this.#noted.push({ tx: facts.tx, start: facts.start, end: facts.end });
    this.#last = { tx, crc };
    if (cut === null || tx < cut.tx) return;
    if (tx !== cut.tx || crc !== cut.crc) {
      throw this.#corrupt(`has another commit at ${cut.tx} than the generation that branched off there names`);
    }
    this.#to = facts.end;
  }

  #finish(): number {
    const { object, cut } = this.#piece;
    const last = this.#last;
    const wanted = cut ?? { tx: object.last, crc: object.crc };
    if (this.#segment === null || last === null || this.#scanner?.pendingBytes !== 0 || !samePosition(last, wanted)) {
      const found = last === null ? 'no commit' : formatPosition(last);
      throw this.#corrupt(`ends with ${found}, and its name says ${formatPosition(wanted)}`);
    }
    this.#log.accept(last);
    return this.#segment.bytes - this.#base;
  }

  #corrupt(what: string): CorruptionError {
    const { key } = this.#piece.object;
    return new CorruptionError(`the log object ${key} ${what}`, { facts: { key } });
  }
}
