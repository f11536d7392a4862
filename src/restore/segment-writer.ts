/** One segment of the restored log, with the offset index that the engine would have made beside it. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ByteOffset, byteOffset, type TxOffset } from '../core/types.ts';
import type { CommitFacts } from '../spacetimedb/commit-scanner.ts';
import { formatOffsetIndexName, formatSegmentName } from '../spacetimedb/file-names.ts';
import { OffsetIndexBuilder, type OffsetIndexMark } from '../spacetimedb/offset-index-builder.ts';
import type { LogVersion } from '../spacetimedb/segment-header.ts';
import { StagedFile } from './staged-file.ts';
import type { TargetSystem } from './target-system.ts';

export interface SegmentWriterOptions {
  readonly clogDir: string;
  readonly system: TargetSystem;
  /** Offset of the first transaction that the segment will hold: its name. */
  readonly first: TxOffset;
  /** The ten bytes as stored. */
  readonly header: Uint8Array;
  readonly version: LogVersion;
}

export interface SegmentMark {
  readonly bytes: number;
  readonly index: OffsetIndexMark;
}

export class SegmentWriter implements AsyncDisposable {
  readonly first: TxOffset;
  readonly header: Uint8Array;
  readonly version: LogVersion;
  readonly #options: SegmentWriterOptions;
  readonly #file: StagedFile;
  readonly #index = new OffsetIndexBuilder();

  private constructor(options: SegmentWriterOptions, file: StagedFile) {
    this.first = options.first;
    // Copies, because a frame's memory goes with it; `slice` of a Buffer would be none.
    this.header = Uint8Array.from(options.header);
    this.version = options.version;
    this.#options = options;
    this.#file = file;
  }

  /** @throws LocalFileError */
  static async create(options: SegmentWriterOptions): Promise<SegmentWriter> {
    const file = await StagedFile.create(join(options.clogDir, formatSegmentName(options.first)), options.system);
    const writer = new SegmentWriter(options, file);
    await file.write(Uint8Array.from(writer.header));
    return writer;
  }

  /** Goes on with the file of an earlier attempt, of which only the header counts so far. @throws LocalFileError */
  static async reopen(options: SegmentWriterOptions): Promise<SegmentWriter> {
    const { clogDir, first, system } = options;
    await rm(join(clogDir, formatOffsetIndexName(first)), { recursive: true, force: true });
    const file = await StagedFile.reopen(join(clogDir, formatSegmentName(first)), system);
    file.keep(options.header.byteLength);
    return new SegmentWriter(options, file);
  }

  /** Where a reopened segment can go back to, together with its index. */
  mark(): SegmentMark {
    return { bytes: this.#file.bytes, index: this.#index.mark() };
  }

  /** The next `bytes` bytes of a reopened segment are right. */
  keep(bytes: number): void {
    this.#file.keep(this.#file.bytes + bytes);
  }

  rewind({ bytes, index }: SegmentMark): void {
    this.#file.keep(bytes);
    this.#index.rewind(index);
  }

  /** Bytes so far, the header included: where the next commit begins. */
  get bytes(): ByteOffset {
    return byteOffset(this.#file.bytes);
  }

  /** Notes a checked commit of this segment, for the index. */
  noteCommit(facts: CommitFacts): void {
    this.#index.add(facts);
  }

  /** Takes over checked bytes, memory and all. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#file.write(bytes);
  }

  /** Makes the segment and its index durable. The engine reads through an index as if all were of version 1: none for 0. */
  async finish(): Promise<void> {
    await this.#file.finish();
    if (this.version === 0) return;
    const { clogDir, system } = this.#options;
    await using index = await StagedFile.create(join(clogDir, formatOffsetIndexName(this.first)), system);
    await index.write(this.#index.encode(this.bytes));
    await index.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}
