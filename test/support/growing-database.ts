/**
 * A small model of a SpacetimeDB server that writes a recorded database once more, commit by commit: in torn writes, with
 * rotation, snapshots, and compression in place, in the order of system calls that a server makes.
 *
 * Responsible for: which files appear when, and in which states a reader may find them. Not responsible for: pace.
 */
import { cp, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  commitsOf,
  type RecordedCommit,
  type RecordedDatabase,
  type RecordedSegment,
  type RecordedSnapshot,
} from './recorded-database.ts';

/** Awaited between the pieces of one commit or snapshot: where a reader sees half of it. */
export type Pause = () => Promise<void>;

const noPause: Pause = () => Promise.resolve();

const twenty = (tx: bigint): string => tx.toString().padStart(20, '0');

export class GrowingDatabase {
  readonly directory: string;
  readonly #recorded: RecordedDatabase;
  readonly #commits: readonly RecordedCommit[];
  #nextCommit = 0;
  #segment: RecordedSegment | null = null;
  /** Writes to segments so far: more than commits, because they are torn. */
  writes = 0;

  constructor(directory: string, recorded: RecordedDatabase) {
    this.directory = directory;
    this.#recorded = recorded;
    this.#commits = commitsOf(recorded);
  }

  /** Last transaction that is wholly written; -1 before the first. */
  get lastTx(): bigint {
    return this.#commits[this.#nextCommit - 1]?.lastTx ?? -1n;
  }

  get isComplete(): boolean {
    return this.#nextCommit >= this.#commits.length;
  }

  async create(): Promise<void> {
    await mkdir(join(this.directory, 'clog'), { recursive: true });
    await mkdir(join(this.directory, 'snapshots'), { recursive: true });
  }

  /**
   * Appends the next commit, in pieces that end at `cuts`; rotates first where the recording did.
   *
   * @param cuts fractions of the commit, ascending, between 0 and 1
   */
  async writeCommit({ cuts = [], pause = noPause }: { cuts?: readonly number[]; pause?: Pause } = {}): Promise<void> {
    const commit = this.#commits[this.#nextCommit];
    if (commit === undefined) throw new Error('the recording is at its end');
    const segment = this.#recorded.segments.findLast(({ firstTx }) => firstTx <= commit.firstTx);
    if (segment === undefined) throw new Error(`no segment holds ${commit.firstTx}`);
    if (segment !== this.#segment) await this.#rotate(segment, pause);
    const file = await open(this.#path(segment.name), 'a');
    try {
      let from = 0;
      for (const cut of [...cuts, 1]) {
        const to = Math.max(from, Math.round(cut * commit.bytes.byteLength));
        if (to === from) continue;
        if (from > 0) await pause();
        await file.write(commit.bytes.subarray(from, to));
        this.writes += 1;
        from = to;
      }
    } finally {
      await file.close();
    }
    this.#nextCommit += 1;
  }

  /** A segment appears whole with its header: made under a temporary name, while a lock file of its name stands. */
  async #rotate(segment: RecordedSegment, pause: Pause): Promise<void> {
    const lock = this.#path(`${twenty(segment.firstTx)}.stdb.lock`);
    const temporary = this.#path(`.tmp${twenty(segment.firstTx).slice(-6)}`);
    await writeFile(lock, '');
    await writeFile(temporary, segment.header);
    await pause();
    await rename(temporary, this.#path(segment.name));
    // Preallocated and as yet empty: nothing may be concluded from an index.
    await writeFile(this.#path(segment.name.replace(/log$/, 'ofs')), new Uint8Array(4096));
    await rm(lock);
    this.#segment = segment;
  }

  /** Takes the recording's snapshot of `tx`, whose commit must be written: lock, objects, the snapshot file, no lock. */
  async takeSnapshot(tx: bigint, { pause = noPause }: { pause?: Pause } = {}): Promise<void> {
    const snapshot = this.#recorded.snapshots.find((candidate) => candidate.tx === tx);
    if (snapshot === undefined || tx > this.lastTx) throw new Error(`there is no snapshot of ${tx} to take now`);
    const snapshots = join(this.directory, 'snapshots');
    const lock = join(snapshots, `${twenty(tx)}.lock`);
    await writeFile(lock, '');
    for (const [path, bytes] of filesInOrder(snapshot)) {
      const target = join(snapshots, `${twenty(tx)}.snapshot_dir`, path);
      await mkdir(join(target, '..'), { recursive: true });
      await writeFile(target, bytes);
      await pause();
    }
    await rm(lock);
  }

  /** Puts `compressed`, the same bytes in the zstd seekable format, in the place of a closed segment. */
  async compressSegment(name: string, compressed: Uint8Array): Promise<void> {
    const temporary = this.#path('.tmpzstd00');
    await writeFile(temporary, compressed);
    await rename(temporary, this.#path(name));
  }

  /** Puts each compressed file of `directory` in the place of the same file of the snapshot, while its lock stands. */
  async compressSnapshot(tx: bigint, directory: string): Promise<void> {
    const lock = join(this.directory, 'snapshots', `${twenty(tx)}.lock`);
    const target = join(this.directory, 'snapshots', `${twenty(tx)}.snapshot_dir`);
    const snapshot = this.#recorded.snapshots.find((candidate) => candidate.tx === tx);
    if (snapshot === undefined) throw new Error(`no snapshot of ${tx} was recorded`);
    await writeFile(lock, '');
    for (const [path] of filesInOrder(snapshot)) {
      await cp(join(directory, path), join(target, `${path}._tmp`));
      await rename(join(target, `${path}._tmp`), join(target, path));
    }
    await rm(lock);
  }

  /** Writes all that is left, whole. */
  async finish(): Promise<void> {
    while (!this.isComplete) await this.writeCommit();
  }

  #path(name: string): string {
    return join(this.directory, 'clog', name);
  }
}

/** Objects first: the snapshot file is written when all that it names is there. */
function filesInOrder({ files }: RecordedSnapshot): (readonly [path: string, bytes: Buffer])[] {
  return [...files].toSorted(
    ([a], [b]) => Number(a.endsWith('.snapshot_bsatn')) - Number(b.endsWith('.snapshot_bsatn')),
  );
}

/** The compressed form of one file of another directory of the same database, for `compressSegment`. */
export const readCompressed = (directory: string, name: string): Promise<Buffer> =>
  readFile(join(directory, 'clog', name));
