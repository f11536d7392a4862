/** The snapshots of the model of the server: taken, compressed in place and renamed, in the steps that others can see. */
import { join } from 'node:path';
import type { TxOffset } from '../../src/core/types.ts';
import {
  formatSnapshotDirName,
  formatSnapshotLockName,
  parseSnapshotDirName,
} from '../../src/spacetimedb/file-names.ts';
import type { Commit } from './history.ts';
import type { MemoryDisk, MemoryFile } from './memory-disk.ts';
import { compressObject, snapshotFiles } from './server-files.ts';
import type { ServerSteps } from './server-steps.ts';

export interface ServerSnapshotsOptions {
  readonly disk: MemoryDisk;
  /** The `snapshots` directory. */
  readonly directory: string;
  readonly steps: ServerSteps;
  readonly note: (text: string) => void;
}

export class ServerSnapshots {
  readonly #options: ServerSnapshotsOptions;

  constructor(options: ServerSnapshotsOptions) {
    this.#options = options;
  }

  #paths(tx: TxOffset): { directory: string; lock: string } {
    const { directory } = this.#options;
    return { directory: join(directory, formatSnapshotDirName(tx)), lock: join(directory, formatSnapshotLockName(tx)) };
  }

  /** Of the state after `commit`: the lock, the objects, the snapshot file, and the lock is gone. */
  take(commit: Commit, { identity }: { identity: string }): void {
    const { disk, steps, note } = this.#options;
    const { directory, lock } = this.#paths(commit.last);
    // A lock that a kill left behind stays, and that snapshot is never taken.
    if (disk.directory(directory) !== undefined || disk.file(lock) !== undefined) return;
    const writes = snapshotFiles(commit, { identity }).map(([path, bytes]) => () => {
      disk.write(join(directory, path), bytes);
    });
    disk.write(lock, new Uint8Array(0));
    disk.mkdir(directory);
    steps.next(...writes, () => {
      disk.remove(lock);
      note(`snapshot ${commit.last}`);
    });
  }

  /** Each object, then the snapshot file, of every snapshot but the newest, as after a newer one was taken. */
  compress(): void {
    const { disk, steps } = this.#options;
    for (const tx of this.complete().slice(0, -1)) {
      const { directory, lock } = this.#paths(tx);
      const paths = Array.from(disk.filesBelow(directory), ([path]) => join(directory, path)).sort();
      const replace = paths.map((path) => () => {
        const file = disk.file(path);
        if (file === undefined || isZstd(file)) return;
        disk.write(`${path}._tmp`, compressObject(file.bytes));
        disk.rename(`${path}._tmp`, path);
      });
      steps.add(
        () => void disk.write(lock, new Uint8Array(0)),
        ...replace,
        () => disk.remove(lock),
      );
    }
  }

  /** The oldest, where the log does not need it. */
  archive({ logStart }: { logStart: bigint }): void {
    const { disk, note } = this.#options;
    const [tx] = this.complete();
    if (tx === undefined || tx + 1n >= logStart) return;
    const { directory } = this.#paths(tx);
    disk.rename(directory, directory.replace(/\.snapshot_dir$/, '.archived_snapshot'));
    note(`archived snapshot ${tx}`);
  }

  /** Ascending: those with their file and without a lock. */
  complete(): TxOffset[] {
    const { disk, directory } = this.#options;
    return (disk.list(directory) ?? []).flatMap((name) => {
      const tx = parseSnapshotDirName(name);
      if (tx === null || disk.file(this.#paths(tx).lock) !== undefined) return [];
      const files = [...disk.filesBelow(join(directory, name))];
      return files.some(([path]) => path.endsWith('.snapshot_bsatn')) ? [tx] : [];
    });
  }

  /** A server that starts puts aside what its log does not reach. */
  invalidateAfter(tip: Commit | null): void {
    const { disk, directory } = this.#options;
    for (const name of disk.list(directory) ?? []) {
      const tx = parseSnapshotDirName(name);
      if (tx === null || (tip !== null && tx <= tip.last)) continue;
      const path = join(directory, name);
      disk.rename(path, path.replace(/\.snapshot_dir$/, '.invalid_snapshot'));
    }
  }
}

function isZstd({ bytes }: MemoryFile): boolean {
  return bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd;
}
