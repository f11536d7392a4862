/**
 * The one decoder of commits: pushed a segment's bytes in any split, it keeps the end of the longest valid prefix.
 *
 * Responsible for: checksums, the order of offsets and epochs, the greatest time. Not responsible for: the segment's
 * header, what lies between two segments, what a problem at the end means (`tail.ts`).
 * Invariants: the outcome is the same for every split of the same bytes; `end` is always the end of a whole commit with
 * a right checksum and the expected offset; memory is constant, also for a commit of 4 GiB.
 *
 * A hot path: commits that lie whole in a pushed chunk are checked where they lie, u64 values are compared as two
 * halves, and nothing is allocated for a commit but the view for its checksum. Measured by bench/commit-scan.bench.ts.
 */
import { crc32c } from '../core/checksum.ts';
import {
  type ByteOffset,
  byteOffset,
  type Crc32c,
  crc32cValue,
  type Micros,
  micros,
  type TxOffset,
  txOffset,
} from '../core/types.ts';
import { COMMIT_CRC_BYTES, COMMIT_HEADER_BYTES } from './commit.ts';
import type { CommitFacts, ScanProblem, ScanProblemKind } from './commit-facts.ts';
import { findTimestamp, RECORD_PREFIX_BYTES_MAX, TIME_MAX } from './record-prefix.ts';
import { type LogVersion, SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { highHalf, joinHalves, lowHalf, TWO_32 } from './u64-halves.ts';

export type { CommitFacts, ScanProblem } from './commit-facts.ts';

export interface CommitScannerOptions {
  readonly version: LogVersion;
  /** Offset of the first transaction of the next commit. */
  readonly expectedTx: TxOffset;
  /** Place of the first byte to be pushed. By default right after the segment's header. */
  readonly at?: ByteOffset;
  /** Greatest time before; 0 by default. */
  readonly timeBefore?: Micros;
  /** Epoch of the commit before; by default any epoch is accepted first. */
  readonly epochBefore?: bigint;
  /** Called for each good commit, in order, from within `push`. What it throws leaves `push`. */
  readonly onCommit?: (facts: CommitFacts) => void;
}

const TIME_MAX_HI = highHalf(TIME_MAX);
const TIME_MAX_LO = lowHalf(TIME_MAX);
const HEAD_BYTES_MAX = COMMIT_HEADER_BYTES[1] + RECORD_PREFIX_BYTES_MAX;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export class CommitScanner {
  readonly version: LogVersion;
  readonly #headerBytes: number;
  readonly #onCommit: ((facts: CommitFacts) => void) | undefined;

  /** After the last good commit. A u64 is two unsigned halves. */
  #end: number;
  #commits = 0;
  #nextLo: number;
  #nextHi: number;
  #epochLo: number;
  #epochHi: number;
  #hasEpoch: boolean;
  #timeLo: number;
  #timeHi: number;
  #lastCrc: Crc32c | null = null;
  #problem: ScanProblem | null = null;

  /** The header in hand, as `#readHeader` found it. */
  #txLo = 0;
  #txHi = 0;
  #count = 0;
  #commitBytes = 0;
  #newEpochLo = 0;
  #newEpochHi = 0;

  /** A commit of which only the first `#pending` bytes have come: its start, its running checksum, its checksum. */
  #pending = 0;
  readonly #head = new Uint8Array(HEAD_BYTES_MAX);
  readonly #headView = viewOf(this.#head);
  #runningCrc: Crc32c = crc32cValue(0);
  #storedCrc = 0;

  constructor({ version, expectedTx, at, timeBefore, epochBefore, onCommit }: CommitScannerOptions) {
    this.version = version;
    this.#headerBytes = COMMIT_HEADER_BYTES[version];
    this.#onCommit = onCommit;
    this.#end = at ?? SEGMENT_HEADER_BYTES;
    this.#nextLo = lowHalf(expectedTx);
    this.#nextHi = highHalf(expectedTx);
    this.#hasEpoch = epochBefore !== undefined;
    this.#epochLo = lowHalf(epochBefore ?? 0n);
    this.#epochHi = highHalf(epochBefore ?? 0n);
    this.#timeLo = lowHalf(timeBefore ?? 0n);
    this.#timeHi = highHalf(timeBefore ?? 0n);
  }

  /** After the last whole good commit; at first, where the scan began. */
  get end(): ByteOffset {
    return byteOffset(this.#end);
  }

  /** Offset that the next commit must have. */
  get nextTx(): TxOffset {
    return txOffset(joinHalves(this.#nextHi, this.#nextLo));
  }

  /** Last transaction of the last good commit; null before the first. */
  get lastTx(): TxOffset | null {
    return this.#commits === 0 ? null : txOffset(joinHalves(this.#nextHi, this.#nextLo) - 1n);
  }

  get lastCrc(): Crc32c | null {
    return this.#lastCrc;
  }

  /** Of the last good commit, or as given; null before the first. */
  get lastEpoch(): bigint | null {
    return this.#hasEpoch ? joinHalves(this.#epochHi, this.#epochLo) : null;
  }

  /** The greatest server time so far. It never falls; a commit without one, or with a strange one, leaves it. */
  get time(): Micros {
    return micros(joinHalves(this.#timeHi, this.#timeLo));
  }

  /** Good commits so far. */
  get commits(): number {
    return this.#commits;
  }

  /** Once set, pushed bytes are ignored. */
  get problem(): ScanProblem | null {
    return this.#problem;
  }

  /** Bytes after `end` that may become a commit. 0 once there is a problem. */
  get pendingBytes(): number {
    return this.#pending;
  }

  /** Takes the bytes that follow those pushed before. */
  push(bytes: Uint8Array): void {
    if (this.#problem !== null) return;
    let at = this.#pending === 0 ? 0 : this.#gather(bytes, 0);
    if (this.#problem === null && this.#pending === 0) at = this.#scanWhole(bytes, at);
    if (this.#problem === null && at < bytes.byteLength) this.#gather(bytes, at);
  }

  /**
   * Forgets a problem and the pending bytes: the next push begins at `end`. For a reader of a file that is being
   * written, where what was not yet a commit may have become one.
   */
  rewind(): void {
    this.#problem = null;
    this.#pending = 0;
  }

  /** Scans the commits that lie whole in `bytes` from `from` on; gives the index after the last of them. */
  #scanWhole(bytes: Uint8Array, from: number): number {
    const view = viewOf(bytes);
    const length = bytes.byteLength;
    const headerBytes = this.#headerBytes;
    let at = from;
    while (length - at >= headerBytes) {
      if (!this.#readHeader(view, at)) return at;
      const end = at + this.#commitBytes;
      if (end > length) return at;
      const crcAt = end - COMMIT_CRC_BYTES;
      const stored = view.getUint32(crcAt, true);
      const problem = this.#judge(crc32c(bytes.subarray(at, crcAt)), stored);
      if (problem !== null) {
        this.#stop(problem);
        return at;
      }
      this.#accept(bytes, view, at, stored);
      at = end;
    }
    return at;
  }

  /** Takes bytes of one commit that does not lie whole in a chunk; gives the index after what it took. */
  #gather(bytes: Uint8Array, from: number): number {
    const headerBytes = this.#headerBytes;
    let at = from;
    if (this.#pending < headerBytes) {
      const part = bytes.subarray(at, at + headerBytes - this.#pending);
      this.#head.set(part, this.#pending);
      this.#pending += part.byteLength;
      at += part.byteLength;
      if (this.#pending < headerBytes) return at;
      if (!this.#readHeader(this.#headView, 0)) return at;
      this.#runningCrc = crc32c(this.#head.subarray(0, headerBytes));
      this.#storedCrc = 0;
    }
    const crcAt = this.#commitBytes - COMMIT_CRC_BYTES;
    if (this.#pending < crcAt && at < bytes.byteLength) {
      const part = bytes.subarray(at, Math.min(bytes.byteLength, at + crcAt - this.#pending));
      this.#runningCrc = crc32c(part, this.#runningCrc);
      const missing = Math.max(0, HEAD_BYTES_MAX - this.#pending);
      if (missing > 0) this.#head.set(part.subarray(0, missing), this.#pending);
      this.#pending += part.byteLength;
      at += part.byteLength;
    }
    for (; this.#pending >= crcAt && this.#pending < this.#commitBytes && at < bytes.byteLength; at += 1) {
      this.#storedCrc += (bytes[at] as number) * 2 ** (8 * (this.#pending - crcAt));
      this.#pending += 1;
    }
    if (this.#pending < this.#commitBytes) return at;
    this.#pending = 0;
    const problem = this.#judge(this.#runningCrc, this.#storedCrc);
    if (problem === null) this.#accept(this.#head, this.#headView, 0, this.#storedCrc);
    else this.#stop(problem);
    return at;
  }

  /** Reads a commit's header into the fields; stops the scan and gives false when it is never-written space. */
  #readHeader(view: DataView, at: number): boolean {
    let countAt = at + 8;
    let epochLo = 0;
    let epochHi = 0;
    if (this.version === 1) {
      epochLo = view.getUint32(at + 8, true);
      epochHi = view.getUint32(at + 12, true);
      countAt = at + 16;
    }
    const recordsBytes = view.getUint32(countAt + 2, true);
    this.#txLo = view.getUint32(at, true);
    this.#txHi = view.getUint32(at + 4, true);
    this.#newEpochLo = epochLo;
    this.#newEpochHi = epochHi;
    this.#count = view.getUint16(countAt, true);
    this.#commitBytes = this.#headerBytes + recordsBytes + COMMIT_CRC_BYTES;
    if ((this.#txLo | this.#txHi | epochLo | epochHi | this.#count | recordsBytes) !== 0) return true;
    this.#stop('zero');
    return false;
  }

  /** Why the commit of the header in hand cannot be the next one, or null. */
  #judge(computedCrc: number, storedCrc: number): ScanProblemKind | null {
    if (computedCrc !== storedCrc) return 'bad-crc';
    const lo = this.#txLo;
    const hi = this.#txHi;
    if (lo !== this.#nextLo || hi !== this.#nextHi) return 'out-of-order';
    const epochHi = this.#newEpochHi;
    if (epochHi < this.#epochHi || (epochHi === this.#epochHi && this.#newEpochLo < this.#epochLo)) {
      return 'epoch-backwards';
    }
    return this.#count === 0 || (hi === TWO_32 - 1 && lo + this.#count >= TWO_32) ? 'bad-length' : null;
  }

  /** The header in hand is of a good commit, the start of which lies at `at`. */
  #accept(bytes: Uint8Array, view: DataView, at: number, crc: number): void {
    const start = this.#end;
    const count = this.#count;
    const recordsAt = at + this.#headerBytes;
    const recordsEnd = at + this.#commitBytes - COMMIT_CRC_BYTES;
    const prefixEnd = Math.min(recordsEnd, recordsAt + RECORD_PREFIX_BYTES_MAX);
    const timeAt = findTimestamp(bytes, recordsAt, prefixEnd);
    const timeLo = timeAt < 0 ? 0 : view.getUint32(timeAt, true);
    const timeHi = timeAt < 0 ? TWO_32 : view.getUint32(timeAt + 4, true);
    // A negative time has the highest bit set and is above the maximum like one without: both are no time.
    const isTimed = timeHi < TIME_MAX_HI || (timeHi === TIME_MAX_HI && timeLo <= TIME_MAX_LO);
    if (isTimed && (timeHi > this.#timeHi || (timeHi === this.#timeHi && timeLo > this.#timeLo))) {
      this.#timeLo = timeLo;
      this.#timeHi = timeHi;
    }
    this.#end = start + this.#commitBytes;
    this.#commits += 1;
    this.#lastCrc = crc32cValue(crc);
    this.#hasEpoch = true;
    this.#epochLo = this.#newEpochLo;
    this.#epochHi = this.#newEpochHi;
    this.#nextLo += count;
    if (this.#nextLo >= TWO_32) {
      this.#nextLo -= TWO_32;
      this.#nextHi += 1;
    }
    if (this.#onCommit === undefined) return;
    const nextTx = joinHalves(this.#nextHi, this.#nextLo);
    this.#onCommit({
      tx: txOffset(nextTx - BigInt(count)),
      count,
      lastTx: txOffset(nextTx - 1n),
      epoch: joinHalves(this.#epochHi, this.#epochLo),
      crc: crc32cValue(crc),
      start: byteOffset(start),
      end: byteOffset(this.#end),
      time: isTimed ? micros(joinHalves(timeHi, timeLo)) : null,
      recordPrefix: bytes.subarray(recordsAt, prefixEnd),
    });
  }

  #stop(kind: ScanProblemKind): void {
    this.#pending = 0;
    this.#problem = { kind, at: this.end, tx: this.nextTx };
  }
}
