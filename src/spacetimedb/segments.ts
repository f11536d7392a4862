/** Which segments a commit log has. */
import { join } from 'node:path';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { TxOffset } from '../core/types.ts';
import { parseSegmentName } from './file-names.ts';
import { readingFrom } from './reading-from.ts';

/** A segment file as it was when it was listed. */
export interface SegmentEntry {
  /** Offset of its first transaction, from its name. */
  readonly tx: TxOffset;
  readonly path: string;
  readonly name: string;
  /** Bytes on disk: of a compressed one fewer than its plain bytes. */
  readonly size: number;
  readonly device: bigint;
  readonly inode: bigint;
}

/**
 * The segments in `clogDir`, ascending; those that vanish meanwhile are left out. Empty where there is no such directory.
 *
 * @throws LocalFileError
 */
export function listSegments(files: ReadableFiles, clogDir: string): Promise<readonly SegmentEntry[]> {
  return readingFrom(clogDir, async () => {
    const entries: SegmentEntry[] = [];
    for (const name of (await files.list(clogDir)) ?? []) {
      const tx = parseSegmentName(name);
      if (tx === null) continue;
      const path = join(clogDir, name);
      const facts = await files.facts(path);
      if (facts?.kind !== 'file') continue;
      entries.push({ tx, path, name, size: facts.size, device: facts.device, inode: facts.inode });
    }
    return entries.sort((a, b) => (a.tx < b.tx ? -1 : a.tx > b.tx ? 1 : 0));
  });
}
