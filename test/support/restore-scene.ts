/** A store in memory, a place to restore to, and what is right there: for the tests of restore. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import type { GetOptions, ReplicaClient, StoredObject } from '../../src/replica/replica-client.ts';
import { type RestoreOptions, type RestoreReport, restore } from '../../src/restore/restore.ts';
import {
  CLOG_DIR,
  formatObjectPath,
  formatSegmentName,
  formatSnapshotDirName,
  formatSnapshotFileName,
  SEGMENT_SUFFIX,
  SNAPSHOTS_DIR,
} from '../../src/spacetimedb/file-names.ts';
import { listObjects } from '../../src/spacetimedb/snapshot-file.ts';
import { listSnapshots, readSnapshotFile, readSnapshotObject } from '../../src/spacetimedb/snapshots.ts';
import { type RecordedCommit, segmentBytes } from './recorded-log.ts';
import { withGet } from '../../src/replica/wrap/with-get.ts';

const OBJECT_BYTES_MAX = 1024 * 1024 * 1024;

export class RestoreScene implements AsyncDisposable {
  readonly client = new MemoryReplicaClient();
  /** Holds the target and nothing else. */
  readonly root: string;
  readonly target: string;

  private constructor(root: string) {
    this.root = root;
    this.target = join(root, 'target');
  }

  static async open(): Promise<RestoreScene> {
    return new RestoreScene(await mkdtemp(join(tmpdir(), 'stdb-restore-test-')));
  }

  run(options: Partial<RestoreOptions> = {}): Promise<RestoreReport> {
    return restore({
      client: this.client,
      target: this.target,
      budget: new ByteBudget(16 * 1024 * 1024),
      clock: systemClock,
      log: silentLog,
      signal: new AbortController().signal,
      ...options,
    });
  }

  /** The restored log is exactly the segments of these commits. */
  async expectLog(commits: readonly RecordedCommit[]): Promise<void> {
    const clog = join(this.target, CLOG_DIR);
    const names = (await readdir(clog)).filter((name) => name.endsWith(SEGMENT_SUFFIX));
    const expected = segmentBytes(commits);
    expect(new Set(names)).toEqual(new Set([...expected.keys()].map(formatSegmentName)));
    for (const [first, bytes] of expected) {
      expect(Buffer.compare(await readFile(join(clog, formatSegmentName(first))), bytes)).toBe(0);
    }
  }

  /** The restored snapshot, or none, holds exactly what the source's holds, uncompressed. */
  async expectSnapshot(replicaDir: string, tx: bigint | null): Promise<void> {
    const snapshots = join(this.target, SNAPSHOTS_DIR);
    const source = (await listSnapshots(diskFiles, join(replicaDir, SNAPSHOTS_DIR))).find((entry) => entry.tx === tx);
    expect(await readdir(snapshots)).toEqual(source ? [formatSnapshotDirName(source.tx)] : []);
    if (tx === null) return;
    const file = source && (await readSnapshotFile(diskFiles, source));
    if (!source || !file) throw new Error(`no snapshot at ${tx}`);
    const directory = join(snapshots, formatSnapshotDirName(source.tx));
    const expected = new Map([[formatSnapshotFileName(source.tx), file.bytes]]);
    for (const object of listObjects(file.snapshot)) {
      const plain = await readSnapshotObject(diskFiles, source, object, { plainBytesMax: OBJECT_BYTES_MAX });
      expected.set(formatObjectPath(object.hash), plain ?? new Uint8Array(0));
    }
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    expect(entries.filter((entry) => entry.isFile())).toHaveLength(expected.size);
    for (const [path, bytes] of expected) {
      expect(Buffer.compare(await readFile(join(directory, path)), bytes), path).toBe(0);
    }
  }

  /** Nothing is left of a restore that failed. */
  async expectNothing(): Promise<void> {
    expect(await readdir(this.root)).toEqual([]);
  }

  /** For another restore of the same store. */
  async clear(): Promise<void> {
    await rm(this.target, { recursive: true });
  }

  /** The scene's client, with `get` asked of a test. */
  spying(get: (key: string, options: GetOptions | undefined) => Promise<StoredObject>): ReplicaClient {
    const { client } = this;
    return withGet(client, get);
  }

  bytesOf(key: string): Uint8Array {
    return this.client.store.objects.get(key)?.bytes ?? new Uint8Array(0);
  }

  flip(key: string, index: number): void {
    const bytes = Uint8Array.from(this.bytesOf(key));
    bytes[index] = (bytes[index] ?? 0) ^ 0x10;
    this.client.store.set(key, bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}
