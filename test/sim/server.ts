/**
 * A model of a SpacetimeDB server over a disk in memory: what it does to its files, in the steps in which others can see
 * them, and what it does with them at its start. Source: FORMAT.md of `spacetimedb/`.
 */
import { join } from 'node:path';
import { type TxOffset, txOffset } from '../../src/core/types.ts';
import { CLOG_DIR, formatSegmentName, SNAPSHOTS_DIR } from '../../src/spacetimedb/file-names.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../src/spacetimedb/segment-header.ts';
import { type Commit, epochOf, type History } from './history.ts';
import type { MemoryDisk } from './memory-disk.ts';
import type { Random } from './random.ts';
import {
  bytesUpTo,
  dropEmptyEnd,
  openAsEngine,
  type OpenSegment,
  plainOf,
  readSegments,
  type ReadSegment,
  SHORT_TAIL_BYTES,
} from './read-disk-log.ts';
import type { Scheduler } from './scheduler.ts';
import { EPOCH_MICROS } from './sim-clock.ts';
import { compressSegment, loseTail, makeRecords, pieceEnds } from './server-files.ts';
import { ServerSnapshots } from './server-snapshots.ts';
import { ServerSteps } from './server-steps.ts';

export interface ServerOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly disk: MemoryDisk;
  /** The replica directory. */
  readonly directory: string;
  readonly history: History;
  readonly identity: string;
}

export class Server {
  readonly name: string;
  readonly directory: string;
  readonly disk: MemoryDisk;
  readonly #clog: string;
  readonly #options: ServerOptions;
  identity: string;
  /** The newest whole commit; null for an empty log. */
  tip: Commit | null = null;
  #durable: { path: string | null; bytes: number } = { path: null, bytes: 0 };
  #segments: OpenSegment[] = [];
  /** A bad tail or a compressed last segment: the next commit begins a new one. */
  #needsSegment = true;
  #epoch = 0n;
  /** Of all its clocks only this one may be set. */
  clockOffsetMs = 0;
  running = false;
  readonly #steps: ServerSteps;
  readonly #snapshots: ServerSnapshots;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.name = options.name;
    this.disk = options.disk;
    this.directory = options.directory;
    this.identity = options.identity;
    this.#clog = join(this.directory, CLOG_DIR);
    this.#steps = new ServerSteps(options);
    this.#snapshots = new ServerSnapshots({
      disk: this.disk,
      directory: join(this.directory, SNAPSHOTS_DIR),
      steps: this.#steps,
      note: (text) => this.#note(text),
    });
  }

  /** The first offset of the oldest segment that holds something; null for an empty log. */
  get logStart(): TxOffset | null {
    return this.tip === null ? null : (this.#segments[0]?.tx ?? null);
  }

  /** Whether nothing that was begun is unfinished. */
  get idle(): boolean {
    return this.#steps.idle;
  }

  #note(text: string): void {
    this.#options.scheduler.note(`${this.name} ${text}`);
  }

  append(commits: number): void {
    for (let n = 0; n < commits; n += 1) this.#steps.add(() => this.#beginCommit());
  }

  #beginCommit(): void {
    const { random, history, scheduler, disk } = this.#options;
    if (!this.running) return;
    if (this.#needsSegment) this.#openSegment();
    const segment = this.#segments.at(-1) as OpenSegment;
    const timeMicros = EPOCH_MICROS + BigInt(Math.round((scheduler.nowMs + this.clockOffsetMs) * 1000));
    const before = this.tip;
    // The engine's own first commit is the same in every database.
    const records = before === null ? Buffer.from('\0the first') : makeRecords(random, { timeMicros });
    const count = before === null || random.chance(0.9) ? 1 : random.int(2, 4);
    if (random.chance(0.02)) this.#epoch += 1n;
    const commit = history.add({ before, count, epoch: before === null ? 0n : this.#epoch, records });
    const ends = pieceEnds(random, commit.bytes.length);
    const pieces = ends.map((end, index) => () => {
      disk.append(segment.path, commit.bytes.subarray(ends[index - 1] ?? 0, end));
      if (end < commit.bytes.length) return;
      this.tip = commit;
      segment.commits += 1;
      this.#note(`wrote ${commit.first}..${commit.last}`);
      if (random.chance(0.5)) this.sync();
    });
    // Before whatever else is to be done.
    this.#steps.next(...pieces);
  }

  /** What is written is durable. */
  sync(): void {
    const path = this.#segments.at(-1)?.path ?? null;
    this.#durable = { path, bytes: path === null ? 0 : (this.disk.file(path)?.size ?? 0) };
  }

  #openSegment(): void {
    const tx = txOffset(this.tip === null ? 0n : this.tip.last + 1n);
    const path = join(this.#clog, formatSegmentName(tx));
    const header = encodeSegmentHeader({ version: 1 });
    if (this.#options.random.chance(0.3)) {
      this.disk.write(path, header);
    } else {
      this.disk.write(`${path}.tmp`, header);
      this.disk.rename(`${path}.tmp`, path);
    }
    this.#segments.push({ tx, path, compressed: false, commits: 0 });
    this.#needsSegment = false;
    this.sync();
    this.#note(`new segment ${tx}`);
  }

  rotate(): void {
    this.#steps.add(() => {
      if (!this.running || (this.#segments.at(-1)?.commits ?? 0) === 0) return;
      this.sync();
      this.#openSegment();
    });
  }

  compress(): void {
    this.#steps.add(() => {
      if (!this.running) return;
      const closed = this.#segments.filter((_, index) => (this.#segments[index + 1]?.commits ?? 0) > 0);
      const steps = closed
        .filter(({ compressed }) => !compressed)
        .map((segment) => () => {
          const file = this.disk.file(segment.path);
          if (file === undefined || !this.running || segment.compressed) return;
          segment.compressed = true;
          this.disk.write(join(this.#clog, '.tmpAbCdEf'), compressSegment(file.bytes));
          this.disk.rename(join(this.#clog, '.tmpAbCdEf'), segment.path);
          this.#note(`compressed ${segment.tx}`);
        });
      this.#steps.next(...steps);
    });
  }

  snapshot(): void {
    this.#steps.add(() => {
      if (!this.running || this.tip === null) return;
      this.sync();
      this.#snapshots.take(this.tip, this);
    });
  }

  compressSnapshots(): void {
    this.#steps.add(() => this.#snapshots.compress());
  }

  archiveSnapshot(): void {
    this.#steps.add(() => this.#snapshots.archive({ logStart: this.logStart ?? 0n }));
  }

  /** Segments that lie wholly before the newest snapshot. */
  prune(): void {
    this.#steps.add(() => {
      const newest = this.#snapshots.complete().at(-1);
      if (newest === undefined || !this.running) return;
      while (this.#segments.length > 1 && (this.#segments[1] as OpenSegment).tx <= newest) {
        const [first] = this.#segments.splice(0, 1);
        if (first) this.disk.remove(first.path);
        this.#note(`pruned ${first?.tx}`);
      }
    });
  }

  /** Killed. With `power` lost too, what was not durable may be gone, or be zeros. */
  crash({ power }: { power: boolean }): void {
    const { random } = this.#options;
    this.running = false;
    this.#steps.clear();
    const last = this.#segments.at(-1);
    const file = last && this.disk.file(last.path);
    if (power && last !== undefined && file !== undefined && !last.compressed) {
      const isKnown = this.#durable.path === last.path;
      const durableBytes = isKnown ? Math.min(this.#durable.bytes, file.size) : SEGMENT_HEADER_BYTES;
      loseTail(this.disk, last.path, { durableBytes, random });
    }
    this.#note(power ? 'lost power' : 'was killed');
  }

  /** Deletes the log and the snapshots, perhaps with the directory itself. */
  wipe({ directory }: { directory: boolean }): void {
    this.running = false;
    this.#steps.clear();
    this.disk.remove(directory ? this.directory : this.#clog);
    if (!directory) this.disk.remove(join(this.directory, SNAPSHOTS_DIR));
    this.#note(directory ? 'directory removed' : 'log and snapshots removed');
  }

  /** Cuts the log back to the end of a commit of it: segments deleted, one cut. The server must be down. */
  cutBack(target: Commit): void {
    for (const { tx, path } of this.#segments) if (tx > target.last) this.disk.remove(path);
    const read = this.#read().at(-1);
    const keep = read?.commits.indexOf(target) ?? -1;
    if (read === undefined || keep < 0) return;
    const bytes = bytesUpTo(read, keep + 1);
    const file = this.disk.file(read.path);
    if (file && read.compressed) this.disk.write(read.path, plainOf(file.bytes).subarray(0, bytes));
    else this.disk.truncate(read.path, bytes);
    this.#note(`cut back to ${target.last}`);
  }

  /** A flipped bit in a commit that is not the last one. False where there is none. */
  rot(): boolean {
    const { random } = this.#options;
    const found = this.#read().filter(({ compressed, commits }) => !compressed && commits.length > 1);
    if (found.length === 0) return false;
    const segment = random.pick(found);
    const index = random.int(0, segment.commits.length - 2);
    const commit = segment.commits[index] as Commit;
    this.disk.file(segment.path)?.flip(bytesUpTo(segment, index) + random.int(0, commit.bytes.length - 1));
    this.#note(`bit rot in ${commit.first}`);
    return true;
  }

  /** Puts files in the place of all that is there. */
  load(files: ReadonlyMap<string, Uint8Array>): void {
    this.running = false;
    this.#steps.clear();
    this.disk.remove(this.directory);
    for (const [path, bytes] of files) this.disk.write(join(this.directory, path), bytes);
    this.#note('files replaced');
  }

  #read(): ReadSegment[] {
    const files = Array.from(this.disk.filesBelow(this.#clog));
    const read = files.map(([path, { bytes }]) => [join(this.#clog, path), bytes] as const);
    return readSegments(read, this.#options.history);
  }

  /**
   * Starts on what is on the disk, as the engine does.
   *
   * @returns why it refuses, or null
   */
  boot(): string | null {
    this.disk.mkdir(this.#clog);
    const segments = this.#read();
    for (const path of dropEmptyEnd(segments)) this.disk.remove(path);
    const opened = openAsEngine(segments, { snapshots: this.#snapshots.complete() });
    if ('refusal' in opened) {
      this.#note(`refuses to start: ${opened.refusal}`);
      return opened.refusal;
    }
    const { tip } = opened;
    this.#snapshots.invalidateAfter(tip);
    this.tip = tip;
    this.#epoch = tip === null ? 0n : epochOf(tip);
    this.#segments = segments.map((segment) => ({ ...segment, commits: segment.commits.length }));
    const last = segments.at(-1);
    const garbage = last === undefined ? 0 : last.plainBytes - last.validBytes;
    this.#needsSegment = last === undefined || last.compressed || garbage >= SHORT_TAIL_BYTES;
    if (last && !last.compressed && garbage > 0 && garbage < SHORT_TAIL_BYTES) {
      this.disk.truncate(last.path, last.validBytes);
    }
    this.running = true;
    this.sync();
    this.#note(`started at ${tip?.last ?? 'nothing'}`);
    return null;
  }

  /** By hand, where the engine refuses to start on a last segment without any whole commit. */
  dropLastSegment(): boolean {
    const last = this.#read().at(-1);
    if (last === undefined || last.commits.length > 0) return false;
    this.disk.remove(last.path);
    this.#note(`segment ${last.tx} was moved away`);
    return true;
  }
}
