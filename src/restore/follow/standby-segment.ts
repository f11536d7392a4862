/**
 * The segment at the end of a standby's log: commits are appended, and count once they are accepted.
 *
 * Invariants: whatever moment this process is killed at, the file is one that a server opens: a new one gets its name
 * only when a whole commit in it is durable; the offset index never leads behind what is durable.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory, TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { localFileError, systemCode } from '../../core/errors.ts';
import { type ByteOffset, byteOffset, type TxOffset } from '../../core/types.ts';
import { formatOffsetIndexName, formatSegmentName } from '../../spacetimedb/file-names.ts';
import {
  encodeOffsetIndex,
  OFFSET_INDEX_ENTRY_BYTES,
  OFFSET_INDEX_INTERVAL_BYTES,
} from '../../spacetimedb/offset-index.ts';
import { OffsetIndexBuilder } from '../../spacetimedb/offset-index-builder.ts';
import type { CommitFacts } from '../../spacetimedb/commit-scanner.ts';
import type { LogVersion } from '../../spacetimedb/segment-header.ts';
import type { TargetSystem } from '../target-system.ts';

export interface SegmentFacts {
  readonly clogDir: string;
  readonly first: TxOffset;
  readonly header: Uint8Array;
  readonly version: LogVersion;
}

export class StandbySegment implements AsyncDisposable {
  readonly first: TxOffset;
  readonly header: Uint8Array;
  readonly version: LogVersion;
  readonly #path: string;
  readonly #indexPath: string;
  readonly #file: FileHandle;
  readonly #system: TargetSystem;
  readonly #index: OffsetIndexBuilder;
  /** What the file has until it may have its own name; null once it has that. */
  #temporary: string | null;
  #bytes: number;
  #accepted: number;
  #durable: number;
  /** Entries that are in the index file. */
  #indexed = 0;
  #indexFile: FileHandle | null = null;

  private constructor(
    { clogDir, first, header, version }: SegmentFacts,
    own: { file: FileHandle; system: TargetSystem; index: OffsetIndexBuilder; temporary: string | null; bytes: number },
  ) {
    this.first = first;
    this.header = Uint8Array.from(header);
    this.version = version;
    this.#path = join(clogDir, formatSegmentName(first));
    this.#indexPath = join(clogDir, formatOffsetIndexName(first));
    this.#file = own.file;
    this.#system = own.system;
    this.#index = own.index;
    this.#temporary = own.temporary;
    this.#bytes = own.bytes;
    this.#accepted = own.bytes;
    this.#durable = own.bytes;
  }

  /** A new file, without its name as yet. @throws LocalFileError */
  static async create(facts: SegmentFacts, system: TargetSystem): Promise<StandbySegment> {
    const temporary = join(facts.clogDir, `${TEMPORARY_PREFIX}${formatSegmentName(facts.first)}`);
    try {
      // Of a standby that was killed: nothing of it was ever part of the log.
      await rm(temporary, { force: true });
      const file = await system.createFile(temporary);
      const own = { file, system, index: new OffsetIndexBuilder(), temporary, bytes: 0 };
      const segment = new StandbySegment(facts, own);
      await segment.write(segment.header);
      segment.#accepted = segment.#bytes;
      return segment;
    } catch (error) {
      throw localFileError('create', temporary, error);
    }
  }

  /**
   * The file that is there, of which `bytes` are whole commits: what stands behind them goes.
   *
   * @param index of those commits
   */
  static async reopen(
    facts: SegmentFacts,
    { bytes, index, system }: { bytes: ByteOffset; index: OffsetIndexBuilder; system: TargetSystem },
  ): Promise<StandbySegment> {
    const path = join(facts.clogDir, formatSegmentName(facts.first));
    try {
      const file = await open(path, 'r+');
      const segment = new StandbySegment(facts, { file, system, index, temporary: null, bytes });
      if ((await file.stat()).size > bytes) {
        await file.truncate(bytes);
        await file.sync();
      }
      // Entries behind the end would lead a server beyond it.
      await rm(segment.#indexPath, { force: true });
      return segment;
    } catch (error) {
      throw localFileError('open', path, error);
    }
  }

  /** Where the next commit begins. */
  get bytes(): ByteOffset {
    return byteOffset(this.#bytes);
  }

  /** Appends checked bytes. @throws LocalFileError */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.byteLength; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.byteLength - at, this.#bytes);
        at += bytesWritten;
        this.#bytes += bytesWritten;
      }
    } catch (error) {
      throw localFileError('write', this.#path, error);
    }
  }

  /** Notes a checked commit, by its place in this file, for the index. */
  noteCommit(facts: Pick<CommitFacts, 'tx' | 'start' | 'end'>): void {
    this.#index.add(facts);
  }

  /** What was written so far is proven. */
  accept(): void {
    this.#accepted = this.#bytes;
  }

  /** Takes back what was not accepted. To append again the file must be opened anew. @throws LocalFileError */
  async rewind(): Promise<void> {
    if (this.#bytes === this.#accepted) return;
    try {
      await this.#file.truncate(this.#accepted);
      this.#bytes = this.#accepted;
    } catch (error) {
      throw localFileError('write', this.#path, error);
    }
  }

  /** Makes what was accepted durable, under its name, with its index. @throws LocalFileError */
  async sync(): Promise<void> {
    await this.rewind();
    if (this.#accepted === this.#durable && this.#indexFile !== null) return;
    try {
      if (this.#accepted > this.header.byteLength) await this.#publish();
    } catch (error) {
      throw localFileError('write', this.#path, error);
    }
  }

  async #publish(): Promise<void> {
    if (this.#accepted > this.#durable || this.#temporary !== null) await this.#file.datasync();
    this.#durable = this.#accepted;
    if (this.#temporary !== null) {
      await rename(this.#temporary, this.#path);
      await fsyncDirectory(dirname(this.#path));
      this.#temporary = null;
    }
    await this.#writeIndex();
  }

  /** The engine reads through an index as if all were of version 1: none for 0. */
  async #writeIndex(): Promise<void> {
    if (this.version === 0) return;
    this.#indexFile ??= await this.#openIndex();
    // Those behind it are of commits that were taken back.
    const entries = this.#index.entries.slice(this.#indexed).filter(({ at }) => at < this.#durable);
    if (entries.length > 0) {
      await this.#indexFile.write(encodeOffsetIndex(entries), 0, null, this.#indexed * OFFSET_INDEX_ENTRY_BYTES);
      this.#indexed += entries.length;
    }
    const room = Math.floor(this.#durable / OFFSET_INDEX_INTERVAL_BYTES) * OFFSET_INDEX_ENTRY_BYTES;
    if ((await this.#indexFile.stat()).size < room) await this.#indexFile.truncate(room);
  }

  async #openIndex(): Promise<FileHandle> {
    try {
      return await this.#system.createFile(this.#indexPath);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      // Beside a segment that did not get its name before a kill.
      await rm(this.#indexPath);
      return await this.#system.createFile(this.#indexPath);
    }
  }

  /** Nothing is made durable here. A file without a name goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await this.#indexFile?.close();
    if (this.#temporary !== null) await rm(this.#temporary, { force: true });
  }
}
