/** The proof of one piece of the log: its commits, as they pass to the segment, against what the object's name says. */
import { CorruptionError } from '../core/errors.ts';
import type { TimedPosition } from '../core/status.ts';
import { formatPosition, type Micros, type Position } from '../core/types.ts';
import { formatTimestamp } from '../layout/time.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import type { LogPiece } from './plan-types.ts';
import type { SegmentWriter } from './segment-writer.ts';
import { type SnapshotCommit, SnapshotMismatchError } from './snapshot-commit.ts';

/** Where checked bytes go: the segment of the piece, header and all pieces before it included. */
export type PieceSink = Pick<SegmentWriter, 'version' | 'bytes' | 'noteCommit' | 'write'>;

export interface PieceScanOptions {
  /** The line's time before the piece; null where that is not known. */
  readonly timeBefore: Micros | null;
  readonly snapshotCommit: SnapshotCommit | null;
  /** The bytes are those of a segment's file, where other pieces follow: the piece ends with the object's last commit. */
  readonly withinFile?: boolean;
}

/** How the commits of a piece ended. */
type ScanEnd = Pick<CommitScanner, 'lastTx' | 'lastCrc' | 'pendingBytes' | 'time'>;

/** Checks one piece's commits as they pass to the segment. */
export class PieceScan {
  readonly #piece: LogPiece;
  readonly #writer: PieceSink;
  readonly #options: PieceScanOptions;
  readonly #scanner: CommitScanner;
  /** The last commit that is wanted, where more may follow. */
  readonly #stop: Position | null;
  /** Where in the segment that one ends, once it has passed. */
  #stoppedAt: number | null = null;
  #stopped: ScanEnd | null = null;

  constructor(piece: LogPiece, writer: PieceSink, options: PieceScanOptions) {
    this.#piece = piece;
    this.#writer = writer;
    this.#options = options;
    const { last, crc } = piece.object;
    this.#stop = piece.cut ?? (options.withinFile === true ? { tx: last, crc } : null);
    this.#scanner = new CommitScanner({
      version: writer.version,
      expectedTx: piece.object.first,
      at: writer.bytes,
      ...(options.timeBefore === null ? {} : { timeBefore: options.timeBefore }),
      onCommit: (facts) => this.#note(facts),
    });
  }

  /** Nothing of what follows is wanted. */
  get isComplete(): boolean {
    return this.#stopped !== null;
  }

  /** The bytes go to the segment as far as they are wanted. */
  async push(bytes: Uint8Array): Promise<void> {
    this.#scanner.push(bytes);
    const { problem } = this.#scanner;
    if (problem !== null && !this.isComplete) {
      throw this.#corrupt(`holds a bad commit where transaction ${problem.tx} should be (${problem.kind})`);
    }
    const wanted = this.#stoppedAt === null ? bytes.byteLength : this.#stoppedAt - this.#writer.bytes;
    await this.#writer.write(bytes.subarray(0, wanted));
  }

  /** To be called after the object's last byte, or at the cut. */
  finish(): { end: TimedPosition; warning: string | null } {
    const { object, cut } = this.#piece;
    if (cut !== null) {
      if (this.#stopped === null) throw this.#corrupt(`does not hold the commit that ends at ${formatPosition(cut)}`);
      return { end: { ...cut, time: this.#stopped.time }, warning: null };
    }
    const { lastTx, lastCrc, pendingBytes, time }: ScanEnd = this.#stopped ?? this.#scanner;
    if (pendingBytes > 0) throw this.#corrupt('ends within a commit');
    if (lastTx !== object.last || lastCrc !== object.crc) {
      const found = lastTx === null || lastCrc === null ? 'no commit' : formatPosition({ tx: lastTx, crc: lastCrc });
      throw this.#corrupt(
        `ends with ${found}, and its name says ${formatPosition({ tx: object.last, crc: object.crc })}`,
      );
    }
    // Without what came before, the name may rightly tell a later time than the object's own commits do.
    const known = this.#options.timeBefore !== null;
    const agrees = known ? time === object.time : time <= object.time;
    return {
      end: { tx: object.last, crc: object.crc, time: known ? time : object.time },
      warning: agrees ? null : this.#timeWarning(time),
    };
  }

  #note(facts: CommitFacts): void {
    if (this.#stopped !== null) return;
    this.#writer.noteCommit(facts);
    const { snapshotCommit } = this.#options;
    if (snapshotCommit !== null) this.#compareWithSnapshot(facts, snapshotCommit);
    const stop = this.#stop;
    if (stop === null || facts.lastTx < stop.tx) return;
    if (facts.lastTx !== stop.tx || facts.crc !== stop.crc) {
      throw this.#corrupt(`has another commit at ${stop.tx} than the generation that branched off there names`);
    }
    this.#stoppedAt = facts.end;
    this.#stopped = { lastTx: facts.lastTx, lastCrc: facts.crc, pendingBytes: 0, time: this.#scanner.time };
  }

  /** A snapshot of another history is opened by the engine without a word. */
  #compareWithSnapshot(facts: CommitFacts, { position, tx }: SnapshotCommit): void {
    if (facts.lastTx < tx || facts.tx > tx) return;
    if (facts.lastTx === position.tx && facts.crc === position.crc) return;
    throw new SnapshotMismatchError(
      `the snapshot at ${tx} belongs to another history than the log: their commits differ`,
      {
        facts: { tx, key: this.#piece.object.key },
      },
    );
  }

  #timeWarning(time: Micros): string {
    const { key } = this.#piece.object;
    return `The log object ${key} names another time than its commits have, ${formatTimestamp(time)}. Its commits are proven.`;
  }

  #corrupt(what: string): CorruptionError {
    const { key } = this.#piece.object;
    return new CorruptionError(`the log object ${key} ${what}`, { facts: { key } });
  }
}
