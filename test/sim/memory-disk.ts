/**
 * A machine's disk in memory: files have inodes and times, a name can be given to another file, and who has a file open
 * keeps it whatever becomes of its name. Written by the model of the server alone.
 */

export class MemoryFile {
  readonly inode: bigint;
  mtime: bigint;
  #bytes: Uint8Array;
  #size = 0;

  constructor(inode: bigint, mtime: bigint, bytes: Uint8Array = new Uint8Array(0)) {
    this.inode = inode;
    this.mtime = mtime;
    this.#bytes = Uint8Array.from(bytes);
    this.#size = bytes.byteLength;
  }

  get size(): number {
    return this.#size;
  }

  /** A view: not to be written to. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  append(bytes: Uint8Array, mtime: bigint): void {
    if (this.#size + bytes.byteLength > this.#bytes.byteLength) {
      const longer = new Uint8Array(2 * (this.#size + bytes.byteLength));
      longer.set(this.bytes);
      this.#bytes = longer;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.byteLength;
    this.mtime = mtime;
  }

  truncate(size: number, mtime: bigint): void {
    this.#bytes.fill(0, size);
    this.#size = Math.min(this.#size, size);
    this.mtime = mtime;
  }

  flip(at: number): void {
    this.#bytes[at] = (this.#bytes[at] ?? 0) ^ 0x20;
  }
}

export class MemoryDisk {
  readonly #files = new Map<string, MemoryFile>();
  readonly #directories = new Map<string, bigint>();
  readonly #nowMicros: () => bigint;
  #inodes = 1000n;
  /** Told of every change, by the path of the entry. */
  readonly listeners = new Set<(path: string) => void>();

  constructor(nowMicros: () => bigint) {
    this.#nowMicros = nowMicros;
  }

  get #mtime(): bigint {
    return this.#nowMicros() * 1000n;
  }

  #changed(path: string): void {
    for (const listener of this.listeners) listener(path);
  }

  file(path: string): MemoryFile | undefined {
    return this.#files.get(path);
  }

  /** The inode of a directory, or undefined. */
  directory(path: string): bigint | undefined {
    return this.#directories.get(path);
  }

  /** Names in a directory, sorted; null when there is none of that name. */
  list(path: string): string[] | null {
    if (!this.#directories.has(path)) return null;
    const prefix = `${path}/`;
    const names: string[] = [];
    for (const entry of [...this.#files.keys(), ...this.#directories.keys()]) {
      if (entry.startsWith(prefix) && !entry.includes('/', prefix.length)) names.push(entry.slice(prefix.length));
    }
    return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** With its parents. */
  mkdir(path: string): void {
    if (path === '' || this.#directories.has(path)) return;
    this.mkdir(path.slice(0, path.lastIndexOf('/')));
    this.#inodes += 1n;
    this.#directories.set(path, this.#inodes);
    this.#changed(path);
  }

  /** A new file under that name, with a new inode; one of that name goes on living for who has it open. */
  write(path: string, bytes: Uint8Array): MemoryFile {
    this.mkdir(path.slice(0, path.lastIndexOf('/')));
    this.#inodes += 1n;
    const file = new MemoryFile(this.#inodes, this.#mtime, bytes);
    this.#files.set(path, file);
    this.#changed(path);
    return file;
  }

  append(path: string, bytes: Uint8Array): void {
    this.#files.get(path)?.append(bytes, this.#mtime);
    this.#changed(path);
  }

  truncate(path: string, size: number): void {
    this.#files.get(path)?.truncate(size, this.#mtime);
    this.#changed(path);
  }

  /** A file, or a directory with all that is in it; what has the new name is replaced. */
  rename(from: string, to: string): void {
    this.remove(to);
    for (const entries of [this.#files, this.#directories] as Map<string, unknown>[]) {
      for (const [path, entry] of Array.from(entries)) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        entries.delete(path);
        entries.set(to + path.slice(from.length), entry);
      }
    }
    this.#changed(from);
    this.#changed(to);
  }

  /** With all that is in it; nothing of that name is no error. */
  remove(path: string): void {
    for (const entries of [this.#files, this.#directories] as Map<string, unknown>[]) {
      for (const entry of entries.keys()) if (entry === path || entry.startsWith(`${path}/`)) entries.delete(entry);
    }
    this.#changed(path);
  }

  /** All files below a directory, by their path below it. */
  *filesBelow(directory: string): Iterable<readonly [path: string, file: MemoryFile]> {
    for (const [path, file] of this.#files) {
      if (path.startsWith(`${directory}/`)) yield [path.slice(directory.length + 1), file];
    }
  }
}
