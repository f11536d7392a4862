/**
 * The only way in which the source is touched: a port that cannot write, lock or delete, so that "read-only source" is
 * a property of the types. Tests and simulations give their own.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { systemCode } from './errors.ts';

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other';
  /** Bytes on disk, which for compressed files is not the plain size. */
  readonly size: number;
  readonly device: bigint;
  readonly inode: bigint;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Permission bits, 0 to 0o777; absent where the port does not know them. */
  readonly mode?: number;
}

export interface ReadableFile extends AsyncDisposable {
  readonly path: string;
  facts(): Promise<FileFacts>;
  /** Reads into `target` from byte `position` of the file until it is full or the file ends; gives the bytes read. */
  read(target: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

export interface ReadableFiles {
  /** Names in a directory, sorted by code unit. Null when there is no such directory. */
  list(path: string): Promise<readonly string[] | null>;
  /** Null when nothing has that name. Links are followed. */
  facts(path: string): Promise<FileFacts | null>;
  /** Null when nothing has that name. The handle keeps naming the same file when the name is given to another. */
  open(path: string): Promise<ReadableFile | null>;
}

const isAbsent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '');

async function nullWhenAbsent<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

type BigStats =
  | Awaited<ReturnType<FileHandle['stat']>>
  | { size: bigint; dev: bigint; ino: bigint; mtimeNs: bigint; mode: bigint };

function factsOf(stats: BigStats & { isFile(): boolean; isDirectory(): boolean }): FileFacts {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other',
    size: Number(stats.size),
    device: BigInt(stats.dev),
    inode: BigInt(stats.ino),
    mtime: 'mtimeNs' in stats ? stats.mtimeNs : 0n,
    mode: Number(stats.mode) & 0o777,
  };
}

class DiskFile implements ReadableFile {
  readonly path: string;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  async facts(): Promise<FileFacts> {
    return factsOf(await this.#handle.stat({ bigint: true }));
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < target.byteLength) {
      const { bytesRead } = await this.#handle.read(target, done, target.byteLength - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The real file system. System errors other than absence are thrown as they are. */
export const diskFiles: ReadableFiles = {
  async list(path) {
    const names = await nullWhenAbsent(readdir(path));
    return names?.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)) ?? null;
  },
  async facts(path) {
    const stats = await nullWhenAbsent(stat(path, { bigint: true }));
    return stats && factsOf(stats);
  },
  async open(path) {
    // A pipe in a file's place would keep a blocking open, and a thread of the few there are, waiting for ever.
    const handle = await nullWhenAbsent(open(path, constants.O_RDONLY | constants.O_NONBLOCK));
    return handle && new DiskFile(path, handle);
  },
};
