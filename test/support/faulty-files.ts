/** The source with a fault in it: chosen calls of the file system fail with a system error of the test's choice. */
import type { FileFacts, ReadableFile, ReadableFiles } from '../../src/core/readable-files.ts';

export type SystemCode = 'EIO' | 'ENOSPC' | 'EMFILE' | 'ENFILE' | 'EACCES' | 'ESTALE' | 'EINTR' | 'ENOMEM';

export type SourceCall = 'list' | 'facts' | 'open' | 'file.facts' | 'file.read' | 'file.close';

export interface FaultyFilesOptions {
  /** Whether the call with this number, from 0, fails. */
  readonly fails: (number: number, call: SourceCall, path: string) => SystemCode | null;
}

/** As Node makes them. */
const systemError = (code: SystemCode, syscall: string, path: string): Error =>
  Object.assign(new Error(`${code}: a fault of the test, ${syscall} '${path}'`), { code, syscall, path, errno: -1 });

export class FaultyFiles implements ReadableFiles {
  readonly #inner: ReadableFiles;
  readonly #options: FaultyFilesOptions;
  /** Calls so far, and those of them that failed. */
  calls = 0;
  struck = 0;
  /** Files that are open: what is not closed in the end is a leak. */
  openFiles = 0;

  constructor(inner: ReadableFiles, options: FaultyFilesOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async list(path: string): Promise<readonly string[] | null> {
    this.#strike('list', path);
    return this.#inner.list(path);
  }

  async facts(path: string): Promise<FileFacts | null> {
    this.#strike('facts', path);
    return this.#inner.facts(path);
  }

  async open(path: string): Promise<ReadableFile | null> {
    this.#strike('open', path);
    const file = await this.#inner.open(path);
    if (file === null) return null;
    this.openFiles += 1;
    let isOpen = true;
    const close = async (): Promise<void> => {
      if (isOpen) this.openFiles -= 1;
      isOpen = false;
      await file.close();
      // Closing ends what was open also where it reports an error: close(2).
      this.#strike('file.close', path);
    };
    return {
      path: file.path,
      facts: async () => {
        this.#strike('file.facts', path);
        return file.facts();
      },
      read: async (target, position) => {
        this.#strike('file.read', path);
        return file.read(target, position);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  #strike(call: SourceCall, path: string): void {
    const code = this.#options.fails(this.calls, call, path);
    this.calls += 1;
    if (code === null) return;
    this.struck += 1;
    throw systemError(code, call, path);
  }
}
