/** Everything that a reader must not change: names, modes, sizes, times, inodes and bytes of a directory tree. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** One line for each file and directory; equal lists mean that nobody wrote, touched or replaced anything. */
export async function treeFacts(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = [directory, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  const facts = paths.map(async (path) => {
    const { mode, size, mtimeNs, ctimeNs, ino, ...kind } = await stat(path, { bigint: true });
    const hash =
      (mode & 0o170000n) === 0o100000n
        ? createHash('sha256')
            .update(await readFile(path))
            .digest('hex')
        : '';
    return [path.slice(directory.length), mode.toString(8), size, mtimeNs, ctimeNs, ino, kind.nlink, hash].join(' ');
  });
  return (await Promise.all(facts)).toSorted();
}
