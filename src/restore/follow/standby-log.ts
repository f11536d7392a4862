/**
 * The log of a standby: where it ends, proven commit by commit, and what is appended to it.
 *
 * Invariants: nothing is written before the first piece that continues the log; then what stands behind the last whole
 * commit goes, which a server would pass over as well, and no commit ever. What is appended counts when it is accepted,
 * and is told (`position`) only then.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CorruptionError, localFileError } from '../../core/errors.ts';
import { diskFiles } from '../../core/readable-files.ts';
import { byteOffset, type Crc32c, formatPosition, type Position, type TxOffset } from '../../core/types.ts';
import type { LogObject } from '../../layout/keys.ts';
import { CLOG_DIR } from '../../spacetimedb/file-names.ts';
import { CommitScanner } from '../../spacetimedb/commit-scanner.ts';
import { locateCommit } from '../../spacetimedb/locate.ts';
import { OffsetIndexBuilder } from '../../spacetimedb/offset-index-builder.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../spacetimedb/segment-header.ts';
import { openSegment, type SegmentReader } from '../../spacetimedb/segment-reader.ts';
import { listSegments } from '../../spacetimedb/segments.ts';
import type { TargetSystem } from '../target-system.ts';
import { type SegmentFacts, StandbySegment } from './standby-segment.ts';

const READ_BYTES = 1024 * 1024;

export interface StandbyLogOptions {
  /** The replica directory. */
  readonly directory: string;
  readonly system: TargetSystem;
  readonly signal: AbortSignal;
}

/** The last segment that holds a commit, as a scan of all of it found it. */
interface ScannedEnd {
  /** Segments behind it that hold none: a server left them, and would delete them as well. */
  readonly empty: readonly string[];
  readonly facts: SegmentFacts;
  readonly compressed: boolean;
  readonly position: Position;
  /** Of whole commits, the header included. */
  readonly bytes: number;
  readonly index: OffsetIndexBuilder;
  /** What follows them, for people; null where nothing does. */
  readonly tail: string | null;
}

export class StandbyLog implements AsyncDisposable {
  readonly #options: StandbyLogOptions;
  readonly #clogDir: string;
  /** What was there at the start, until it is appended to. */
  #scanned: ScannedEnd | null;
  #segment: StandbySegment | null = null;
  #mustScan = false;
  #position: Position;

  private constructor(options: StandbyLogOptions, scanned: ScannedEnd) {
    this.#options = options;
    this.#clogDir = scanned.facts.clogDir;
    this.#scanned = scanned;
    this.#position = scanned.position;
  }

  /** @throws CorruptionError where no commit is there; UnsupportedFormatError, LocalFileError */
  static async open(options: StandbyLogOptions): Promise<StandbyLog> {
    return new StandbyLog(options, await scanEnd(options));
  }

  /** The end of the last accepted commit. */
  get position(): Position {
    return this.#position;
  }

  /** What was found behind the last whole commit at the start, for people; null where nothing was. */
  get tail(): string | null {
    return this.#scanned?.tail ?? null;
  }

  /** Format version of the file that was last when this was opened. */
  get scannedVersion(): number | null {
    return this.#scanned?.facts.version ?? null;
  }

  /** The checksum of the commit that ends exactly at `tx`; null where none does. @throws LocalFileError */
  async endAt(tx: TxOffset): Promise<Crc32c | null> {
    const segments = await listSegments(diskFiles, this.#clogDir);
    const entry = segments.findLast((one) => one.tx <= tx && one.size > SEGMENT_HEADER_BYTES);
    await using reader = entry === undefined ? null : await openSegment(diskFiles, entry);
    const found = reader && (await locateCommit(reader, tx, { signal: this.#options.signal }));
    return found?.lastTx === tx ? found.crc : null;
  }

  /**
   * The file that the commits of `object` go to, behind the position.
   *
   * @param continues whether they are of the source segment that the commit before is of
   * @throws CorruptionError where the header is none; LocalFileError
   */
  async segmentFor(object: LogObject, header: Uint8Array, continues: boolean): Promise<StandbySegment> {
    const { version } = decodeSegmentHeader(header, { path: object.key });
    const first = (this.#position.tx + 1n) as TxOffset;
    const current = await this.#current();
    if (continues && current !== null && Buffer.compare(current.header, header) === 0) return current;
    if (current !== null) {
      await current.sync();
      await current[Symbol.asyncDispose]();
    }
    this.#segment = null;
    this.#segment = await StandbySegment.create(
      { clogDir: this.#clogDir, first, header, version },
      this.#options.system,
    );
    return this.#segment;
  }

  /** Null where the last file is compressed: a server takes such a one for sealed, and so do we. */
  async #current(): Promise<StandbySegment | null> {
    if (this.#mustScan) this.#scanned = await scanEnd(this.#options);
    this.#mustScan = false;
    const scanned = this.#scanned;
    if (scanned !== null) {
      this.#scanned = null;
      for (const path of scanned.empty) await removeEmpty(path);
      if (scanned.compressed) return null;
      const { facts, index } = scanned;
      const { system } = this.#options;
      this.#segment = await StandbySegment.reopen(facts, { bytes: byteOffset(scanned.bytes), index, system });
      await this.#segment.sync();
    }
    return this.#segment;
  }

  /** All that was written is proven, up to there. */
  accept(position: Position): void {
    this.#segment?.accept();
    this.#position = position;
  }

  /** Takes back what was not accepted, and makes the rest durable. */
  async rewind(): Promise<void> {
    const segment = this.#segment;
    if (segment === null) return;
    this.#segment = null;
    await segment.rewind();
    await segment.sync();
    await segment[Symbol.asyncDispose]();
    // Its index knows commits that are not there any more: it is made again from the file.
    this.#mustScan = true;
  }

  /** Makes durable what was accepted. */
  async sync(): Promise<void> {
    await this.#segment?.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#segment?.[Symbol.asyncDispose]();
    this.#segment = null;
  }
}

async function scanEnd(options: StandbyLogOptions): Promise<ScannedEnd> {
  const clogDir = join(options.directory, CLOG_DIR);
  const empty: string[] = [];
  for (const entry of (await listSegments(diskFiles, clogDir)).toReversed()) {
    if (entry.size <= SEGMENT_HEADER_BYTES) {
      empty.push(entry.path);
      continue;
    }
    await using reader = await openSegment(diskFiles, entry);
    const scanned = reader && (await scanSegment(reader, { ...options, clogDir }));
    if (scanned !== null) return { ...scanned, empty };
    throw noCommit(entry.path);
  }
  throw noCommit(clogDir);
}

async function scanSegment(
  reader: SegmentReader,
  { clogDir, signal }: { readonly clogDir: string; readonly signal: AbortSignal },
): Promise<Omit<ScannedEnd, 'empty'> | null> {
  const { tx: first, header, version, compressed } = reader;
  if (header === null || version === null) return null;
  const index = new OffsetIndexBuilder();
  const scanner = new CommitScanner({ version, expectedTx: first, onCommit: (facts) => index.add(facts) });
  let at = SEGMENT_HEADER_BYTES;
  while (scanner.problem === null) {
    signal.throwIfAborted();
    const bytes = await reader.read(byteOffset(at), READ_BYTES);
    if (bytes.byteLength === 0) break;
    scanner.push(bytes);
    at += bytes.byteLength;
  }
  const { lastTx, lastCrc, problem, pendingBytes, end } = scanner;
  if (lastTx === null || lastCrc === null) return null;
  const tail = problem?.kind ?? (pendingBytes > 0 ? 'partial commit' : null);
  return {
    facts: { clogDir, first, header: Uint8Array.from(header), version },
    compressed,
    position: { tx: lastTx, crc: lastCrc },
    bytes: end,
    index,
    tail,
  };
}

async function removeEmpty(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw localFileError('remove the empty segment', path, error);
  }
}

const noCommit = (path: string): CorruptionError =>
  new CorruptionError(`${path} holds no whole commit`, {
    facts: { path },
    hint: 'Restore into an empty directory.',
  });

/** What a standby that has reached `floor` durably must still hold. @throws CorruptionError */
export function checkFloor(position: Position, floor: Position | null, directory: string): void {
  if (floor === null || position.tx > floor.tx || (position.tx === floor.tx && position.crc === floor.crc)) return;
  throw new CorruptionError(
    `the log in ${directory} ends at ${formatPosition(position)}, and it was durable up to ${formatPosition(floor)}`,
    { hint: 'Its files were damaged or changed. Restore into an empty directory.', facts: { directory } },
  );
}
