/** A process's view of a disk: every call may take its time, fail, and see what others do meanwhile. */
import type { FileFacts, ReadableFile, ReadableFiles } from '../../src/core/readable-files.ts';
import type { MemoryDisk, MemoryFile } from './memory-disk.ts';
import type { Random } from './random.ts';
import type { Mailbox, Scheduler } from './scheduler.ts';

export interface FileWeather {
  /** How often a call takes a turn of its own, in which others may act. */
  turns: number;
  /** How often a call fails. */
  failures: number;
}

export interface SimFilesOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly mailbox: Mailbox;
  readonly disk: MemoryDisk;
  readonly weather: FileWeather;
}

const FAILURES = ['EIO', 'EMFILE', 'EACCES', 'ENOMEM'] as const;

export class SimFiles implements ReadableFiles {
  readonly #options: SimFilesOptions;
  /** Handles that are open now: a leak is a bug. */
  openHandles = 0;

  constructor(options: SimFilesOptions) {
    this.#options = options;
  }

  list(path: string): Promise<readonly string[] | null> {
    return this.call(`list ${path}`, () => this.#options.disk.list(path));
  }

  facts(path: string): Promise<FileFacts | null> {
    const { disk } = this.#options;
    return this.call(`stat ${path}`, () => {
      const file = disk.file(path);
      if (file !== undefined) return factsOf(file);
      const inode = disk.directory(path);
      return inode === undefined ? null : { kind: 'directory', size: 0, device: 1n, inode, mtime: 0n };
    });
  }

  open(path: string): Promise<ReadableFile | null> {
    return this.call(`open ${path}`, () => {
      const file = this.#options.disk.file(path);
      if (file === undefined) return null;
      this.openHandles += 1;
      return new SimFile(path, file, this);
    });
  }

  async call<T>(label: string, answer: () => T): Promise<T> {
    const { random, weather, scheduler, mailbox } = this.#options;
    if (random.chance(weather.turns)) await scheduler.wait(random.delayMs(0.2), { label, to: mailbox });
    if (weather.failures > 0 && random.chance(weather.failures)) {
      const code = random.pick(FAILURES);
      scheduler.note(`${mailbox.name} ${label} fails with ${code}`);
      throw Object.assign(new Error(`${code}: a fault of the simulation, ${label}`), { code });
    }
    return answer();
  }
}

const factsOf = (file: MemoryFile): FileFacts => ({
  kind: 'file',
  size: file.size,
  device: 1n,
  inode: file.inode,
  mtime: file.mtime,
});

class SimFile implements ReadableFile {
  readonly path: string;
  readonly #file: MemoryFile;
  readonly #files: SimFiles;
  #open = true;

  constructor(path: string, file: MemoryFile, files: SimFiles) {
    this.path = path;
    this.#file = file;
    this.#files = files;
  }

  facts(): Promise<FileFacts> {
    return this.#files.call(`fstat ${this.path}`, () => factsOf(this.#file));
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#files.call(`read ${this.path}`, () => {
      const bytes = this.#file.bytes.subarray(position, position + target.byteLength);
      target.set(bytes);
      return bytes.byteLength;
    });
  }

  async close(): Promise<void> {
    if (this.#open) this.#files.openHandles -= 1;
    this.#open = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
