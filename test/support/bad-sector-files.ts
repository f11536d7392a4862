/** The disk, with sectors that cannot be read: whatever read touches one of them fails as a whole, with EIO. */
import { diskFiles, type ReadableFile, type ReadableFiles } from '../../src/core/readable-files.ts';

/** As a kernel reads at once. */
export const SECTOR_BYTES = 4096;

export interface BadSectors {
  /** Of a file whose path ends so. */
  readonly path: string;
  readonly first: number;
  readonly count: number;
}

export class BadSectorFiles implements ReadableFiles {
  /** May be changed at any time. */
  bad: readonly BadSectors[];
  /** Reads that failed. */
  struck = 0;

  constructor(bad: readonly BadSectors[] = []) {
    this.bad = bad;
  }

  list(path: string): ReturnType<ReadableFiles['list']> {
    return diskFiles.list(path);
  }

  facts(path: string): ReturnType<ReadableFiles['facts']> {
    return diskFiles.facts(path);
  }

  async open(path: string): Promise<ReadableFile | null> {
    const file = await diskFiles.open(path);
    if (file === null) return null;
    const isBad = (start: number, end: number): boolean =>
      this.bad.some(
        (bad) =>
          path.endsWith(bad.path) && start < (bad.first + bad.count) * SECTOR_BYTES && end > bad.first * SECTOR_BYTES,
      );
    return {
      path: file.path,
      facts: () => file.facts(),
      read: async (target, position) => {
        if (!isBad(position, position + target.byteLength)) return file.read(target, position);
        this.struck += 1;
        throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read', path, errno: -5 });
      },
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file.close(),
    };
  }
}
