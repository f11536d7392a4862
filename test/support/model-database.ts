/**
 * A replica directory that does what servers, operators and disks do to one: it grows, rotates, is cut back, pruned,
 * compressed, reset, replaced. Each commit is unlike every other. What is right afterwards is what the files hold.
 */
import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Crc32c, type TxOffset, txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { formatSegmentName, formatSnapshotDirName } from '../../src/spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { Random } from '../sim/random.ts';
import { compressSegment, makeRecords, snapshotFiles } from '../sim/server-files.ts';
import { type RecordedCommit, readRecordedLog, segmentBytes } from './recorded-log.ts';

const HEADER = encodeSegmentHeader({ version: 1 });
export const IDENTITY = 'a'.repeat(64);

export class ModelDatabase {
  readonly directory: string;
  identity = IDENTITY;
  readonly #random: Random;
  #microseconds = 1_700_000_000_000_000n;

  constructor(directory: string, { seed = 1 }: { seed?: number } = {}) {
    this.directory = directory;
    this.#random = new Random(seed);
  }

  /** The checked commits that the files hold. */
  log(): Promise<RecordedCommit[]> {
    return readRecordedLog(this.directory);
  }

  async lastTx(): Promise<bigint> {
    return (await this.log()).at(-1)?.last ?? -1n;
  }

  segmentPath(tx: bigint): string {
    return join(this.directory, 'clog', formatSegmentName(txOffset(tx)));
  }

  /** So many commits, the first one in a new segment where there is none or `rotate` is set. */
  async append(
    commits: number,
    { rotate = false, count = 1, reducer }: { rotate?: boolean; count?: number; reducer?: string } = {},
  ): Promise<void> {
    await mkdir(join(this.directory, 'clog'), { recursive: true });
    const log = await this.log();
    let next = txOffset((log.at(-1)?.last ?? -1n) + 1n);
    const segment = rotate || log.length === 0 ? next : (log.at(-1)?.segment as TxOffset);
    const parts: Uint8Array[] = segment === next ? [HEADER] : [];
    for (let made = 0; made < commits; made += 1) {
      this.#microseconds += 1_000n;
      const records = makeRecords(this.#random, { timeMicros: this.#microseconds, reducer });
      parts.push(
        encodeCommit({ version: 1, tx: next, count, records: Buffer.concat([records, this.#random.bytes(8)]) }),
      );
      next = txOffset(next + BigInt(count));
    }
    await appendFile(this.segmentPath(segment), Buffer.concat(parts));
  }

  /** Writes these commits, from offset 0, as the log. */
  async place(commits: readonly RecordedCommit[]): Promise<void> {
    await mkdir(join(this.directory, 'clog'), { recursive: true });
    for (const [first, bytes] of segmentBytes(commits)) await writeFile(this.segmentPath(first), bytes);
  }

  /** Cuts the log back to the last commit at or before `tx`, as a power failure or a reset does, in place. */
  async cutBack(tx: bigint): Promise<void> {
    const log = await this.log();
    const kept = log.filter(({ last }) => last <= tx);
    for (const segment of new Set(log.map((commit) => commit.segment))) {
      const bytes = kept.filter((commit) => commit.segment === segment).map((commit) => commit.bytes);
      if (bytes.length === 0) await rm(this.segmentPath(segment));
      else await writeFile(this.segmentPath(segment), Buffer.concat([HEADER, ...bytes]));
    }
    await this.#renameSnapshotsAbove(kept.at(-1)?.last ?? -1n);
  }

  /** As a server does before it writes on. */
  async #renameSnapshotsAbove(tx: bigint): Promise<void> {
    for (const snapshot of this.#snapshots.filter((one) => one > tx)) {
      const path = this.#snapshotPath(snapshot);
      await rename(path, path.replace(/\.snapshot_dir$/, '.invalid_snapshot'));
      await rm(path.replace(/\.snapshot_dir$/, '.invalid_snapshot'), { recursive: true });
    }
    this.#snapshots = this.#snapshots.filter((one) => one <= tx);
  }

  #snapshots: bigint[] = [];
  readonly #snapshotPath = (tx: bigint): string =>
    join(this.directory, 'snapshots', formatSnapshotDirName(txOffset(tx)));

  /** Of the state after the newest commit, or the one given. */
  async snapshot(at?: bigint): Promise<bigint> {
    const log = await this.log();
    const commit = at === undefined ? log.at(-1) : log.find(({ last }) => last === at);
    if (commit === undefined) throw new Error('there is no such commit');
    const { first, last, crc, bytes } = commit;
    const files = snapshotFiles({ before: null, first, last, crc: crc as Crc32c, bytes }, { identity: this.identity });
    for (const [name, content] of files) {
      await mkdir(dirname(join(this.#snapshotPath(last), name)), { recursive: true });
      await writeFile(join(this.#snapshotPath(last), name), content);
    }
    if (!this.#snapshots.includes(last)) this.#snapshots.push(last);
    return last;
  }

  /** Deletes the segments that lie wholly before `tx`. */
  async prune(tx: bigint): Promise<void> {
    const names = [...new Set((await this.log()).map(({ segment }) => segment))];
    for (const [index, segment] of names.entries()) {
      if ((names[index + 1] ?? tx + 1n) <= tx) await rm(this.segmentPath(segment));
    }
  }

  /** Replaces closed segments by their bytes in zstd. */
  async compress(): Promise<void> {
    const names = [...new Set((await this.log()).map(({ segment }) => segment))];
    for (const segment of names.slice(0, -1)) {
      const path = this.segmentPath(segment);
      const bytes = await readFile(path);
      if (bytes.readUInt32LE(0) === 0xfd2fb528) continue;
      await writeFile(`${path}.tmp`, compressSegment(bytes));
      await rename(`${path}.tmp`, path);
    }
  }

  /** Everything gone, as when a database is deleted. */
  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    this.#snapshots = [];
  }

  /** What stands at `restored` takes this database's place. */
  async replaceBy(restored: string, { snapshots }: { snapshots: readonly bigint[] }): Promise<void> {
    await this.remove();
    await rename(restored, this.directory);
    this.#snapshots = [...snapshots];
  }

  /** Changes one byte of the commit that holds `tx`. */
  async spoil(tx: bigint): Promise<void> {
    const commit = (await this.log()).find(({ first, last }) => first <= tx && tx <= last);
    if (commit === undefined) throw new Error(`there is no commit that holds ${tx}`);
    const bytes = await readFile(this.segmentPath(commit.segment));
    const at = bytes.indexOf(commit.bytes) + commit.bytes.byteLength - 6;
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    await writeFile(this.segmentPath(commit.segment), bytes);
  }
}
