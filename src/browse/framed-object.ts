/**
 * A long log object, of which only some frames are read: found by its seek table, and by the first commit of a frame.
 *
 * A frame counts as the beginning of a commit when a whole commit with a right checksum stands there: one that goes on
 * with a commit of the frame before does not.
 */
import { type Crc32c, type Micros, micros, type TxOffset, txOffset } from '../core/types.ts';
import type { LogObject } from '../layout/keys.ts';
import { decodeLogFrame, type LogFramePlace } from '../layout/log-object.ts';
import { fetchParts, type FetchOptions, type Part } from '../restore/fetch-parts.ts';
import { partBytesFor } from '../restore/part-stream.ts';
import { readFrame, readIndex } from '../restore/read-last-commit.ts';
import { decodeCommitHeader } from '../spacetimedb/commit.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, type LogVersion, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { type LoggedCommit, loggedCommit } from './logged-commit.ts';
import { corruptLog } from './object-commits.ts';
import { smallPieces } from './small-pieces.ts';

/** Stored bytes of neighbouring frames that one request asks for. */
const GROUP_BYTES_MAX = 1024 * 1024;
const GROUPS_AHEAD_MAX = 4;

interface FrameGroup extends Part {
  readonly frames: readonly LogFramePlace[];
}

export class FramedObject {
  readonly object: LogObject;
  readonly #fetch: FetchOptions;
  readonly #frames: readonly LogFramePlace[];
  readonly #version: LogVersion;
  /** The first transaction at a frame's beginning; null where no commit begins there. */
  readonly #starts: Map<number, TxOffset | null>;

  private constructor(
    object: LogObject,
    { fetch, frames, version }: { fetch: FetchOptions; frames: readonly LogFramePlace[]; version: LogVersion },
  ) {
    this.object = object;
    this.#fetch = fetch;
    this.#frames = frames;
    this.#version = version;
    this.#starts = new Map([[0, object.first]]);
  }

  /** @throws CorruptionError, UnsupportedFormatError; ObjectNotFoundError, and what the client throws */
  static async open(object: LogObject, fetch: FetchOptions): Promise<FramedObject> {
    const { frames } = await readIndex(object, fetch);
    const [begin] = frames;
    if (begin === undefined) throw corruptLog(object, 'has no frame');
    const { version } = decodeSegmentHeader(await readFrame(object, begin, fetch), { path: object.key });
    return new FramedObject(object, { fetch, frames, version });
  }

  get frames(): number {
    return this.#frames.length;
  }

  /** The last frame that begins with a commit at or before `tx`, which lies within the object. */
  async find(tx: TxOffset): Promise<number> {
    // `low` begins at or before `tx`, `high` behind it; each probe lies between the two.
    let low = 0;
    let high = this.frames;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      const before = await this.beginAtOrBefore(middle);
      const at = before > low ? before : await this.beginBehind(middle, high);
      if (at >= high) return low;
      if ((await this.startOf(at)) <= tx) low = at;
      else high = at;
    }
    return low;
  }

  /** The nearest frame at or before `frame` that begins with a commit. */
  async beginAtOrBefore(frame: number): Promise<number> {
    let at = frame;
    while ((await this.#startAt(at)) === null) at -= 1;
    return at;
  }

  /** The nearest frame behind `frame` that begins with a commit; `end` where none before it does. */
  async beginBehind(frame: number, end: number = this.frames): Promise<number> {
    for (let at = frame + 1; at < end; at += 1) if ((await this.#startAt(at)) !== null) return at;
    return end;
  }

  /** Of a frame that begins with a commit. */
  async startOf(frame: number): Promise<TxOffset> {
    return (await this.#startAt(frame)) ?? txOffset(0n);
  }

  async #startAt(index: number): Promise<TxOffset | null> {
    const known = this.#starts.get(index);
    if (known !== undefined) return known;
    const place = this.#frames[index] as LogFramePlace;
    const bytes = await readFrame(this.object, place, this.#fetch);
    const start = this.#startIn(bytes);
    this.#starts.set(index, start);
    return start;
  }

  #startIn(bytes: Uint8Array): TxOffset | null {
    const header = decodeCommitHeader(bytes, this.#version);
    if (header === null || header.bytes > bytes.byteLength) return null;
    if (header.tx <= this.object.first || header.tx > this.object.last) return null;
    const scanner = new CommitScanner({ version: this.#version, expectedTx: header.tx });
    scanner.push(bytes.subarray(0, header.bytes));
    return scanner.commits === 1 ? header.tx : null;
  }

  /**
   * The commits of frames `from` to `until` (exclusive), both beginnings of commits or the object's end, in small
   * batches. Once it has ended by itself, it is proven that they join what lies behind them.
   *
   * @throws as `open`
   */
  async *commits(from: number, until: number): AsyncGenerator<readonly LoggedCommit[], void, void> {
    const { object } = this;
    let batch: LoggedCommit[] = [];
    const onCommit = (facts: CommitFacts): void => void batch.push(loggedCommit(facts, object.generation));
    const expectedTx = await this.startOf(from);
    const next = until === this.frames ? null : await this.startOf(until);
    const scanner = new CommitScanner({ version: this.#version, expectedTx, timeBefore: NO_TIME, onCommit });
    for await (const plain of this.#plain(from, until)) {
      for (const piece of smallPieces(plain)) {
        scanner.push(piece);
        if (batch.length > 0) yield batch;
        batch = [];
        const { problem } = scanner;
        if (problem !== null) {
          throw corruptLog(object, `holds a bad commit where transaction ${problem.tx} should be (${problem.kind})`);
        }
      }
    }
    if (scanner.pendingBytes === 0 && this.#joins(scanner.nextTx, scanner.lastCrc, next)) return;
    throw corruptLog(object, `does not go on from transaction ${scanner.nextTx} as its frames and its name say`);
  }

  #joins(nextTx: TxOffset, crc: Crc32c | null, next: TxOffset | null): boolean {
    if (next !== null) return nextTx === next;
    return nextTx - 1n === this.object.last && crc === this.object.crc;
  }

  async *#plain(from: number, until: number): AsyncGenerator<Uint8Array, void, void> {
    const { key } = this.object;
    const parallelism = Math.min(GROUPS_AHEAD_MAX, this.#fetch.parallelism);
    for await (using fetched of fetchParts(this.#groups(from, until), { ...this.#fetch, parallelism })) {
      const { frames, start } = fetched.part;
      for (const place of frames) {
        const at = place.at - start;
        const plain = await decodeLogFrame(fetched.bytes.subarray(at, at + place.bytes), place, { key });
        yield place.at === 0 ? plain.subarray(SEGMENT_HEADER_BYTES) : plain;
      }
    }
  }

  *#groups(from: number, until: number): Generator<FrameGroup, void, void> {
    const { key, size } = this.object;
    const bytesMax = Math.min(GROUP_BYTES_MAX, partBytesFor(this.#fetch.budget.bytesMax));
    for (let at = from; at < until; ) {
      const start = this.#frames[at]?.at ?? 0;
      const frames: LogFramePlace[] = [];
      let end = start;
      for (; at < until; at += 1) {
        const place = this.#frames[at] as LogFramePlace;
        if (frames.length > 0 && place.at + place.bytes - start > bytesMax) break;
        frames.push(place);
        end = place.at + place.bytes;
      }
      yield { key, objectBytes: size, start, endExclusive: end, frames };
    }
  }
}

const NO_TIME: Micros = micros(0n);
