/** The proof of one piece of the log: its commits, as they pass to the segment, against what the object's name says. */
import { CorruptionError } from '../core/errors.ts';
import type { TimedPosition } from '../core/status.ts';
import { formatPosition, type Micros } from '../core/types.ts';
import { formatTimestamp } from '../layout/time.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import type { LogPiece } from './plan-types.ts';
import type { SegmentWriter } from './segment-writer.ts';
import { type SnapshotCommit, SnapshotMismatchError } from './snapshot-commit.ts';

export interface PieceScanOptions {
  /** The line's time before the piece; null where that is not known. */
  readonly timeBefore: Micros | null;
  readonly snapshotCommit: SnapshotCommit | null;
}

/** Checks one piece's commits as they pass to the segment. */
export class PieceScan {
  readonly #piece: LogPiece;
  readonly #writer: SegmentWriter;
  readonly #options: PieceScanOptions;
  readonly #scanner: CommitScanner;
  /** Where in the segment the cut lies, once its commit has passed. */
  #cutAt: number | null = null;
  #cutTime: Micros | null = null;

  constructor(piece: LogPiece, writer: SegmentWriter, options: PieceScanOptions) {
    this.#piece = piece;
    this.#writer = writer;
    this.#options = options;
    this.#scanner = new CommitScanner({
      version: writer.version,
      expectedTx: piece.object.first,
      at: writer.bytes,
      ...(options.timeBefore === null ? {} : { timeBefore: options.timeBefore }),
      onCommit: (facts) => this.#note(facts),
    });
  }

  get reachedCut(): boolean {
    return this.#cutAt !== null;
  }

  /** The bytes go to the segment as far as they are wanted. */
  async push(bytes: Uint8Array): Promise<void> {
    this.#scanner.push(bytes);
    const { problem } = this.#scanner;
    if (problem !== null && !this.reachedCut) {
      throw this.#corrupt(`holds a bad commit where transaction ${problem.tx} should be (${problem.kind})`);
    }
    const wanted = this.#cutAt === null ? bytes.byteLength : this.#cutAt - this.#writer.bytes;
    await this.#writer.write(bytes.subarray(0, wanted));
  }

  /** To be called after the object's last byte, or at the cut. */
  finish(): { end: TimedPosition; warning: string | null } {
    const { object, cut } = this.#piece;
    if (cut !== null) {
      if (this.#cutTime === null) throw this.#corrupt(`does not hold the commit that ends at ${formatPosition(cut)}`);
      return { end: { ...cut, time: this.#cutTime }, warning: null };
    }
    const { lastTx, lastCrc, pendingBytes, time } = this.#scanner;
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
    if (this.#cutAt !== null) return;
    const { cut } = this.#piece;
    this.#writer.noteCommit(facts);
    const { snapshotCommit } = this.#options;
    if (snapshotCommit !== null) this.#compareWithSnapshot(facts, snapshotCommit);
    if (cut === null || facts.lastTx < cut.tx) return;
    if (facts.lastTx !== cut.tx || facts.crc !== cut.crc) {
      throw this.#corrupt(`has another commit at ${cut.tx} than the generation that branched off there names`);
    }
    this.#cutAt = facts.end;
    this.#cutTime = this.#scanner.time;
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
