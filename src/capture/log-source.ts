/** A database's commit log as a place to read from, and the offset indexes that lie in it. */
import { join } from 'node:path';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { TxOffset } from '../core/types.ts';
import { formatOffsetIndexName } from '../spacetimedb/file-names.ts';
import { readingFrom } from '../spacetimedb/reading-from.ts';
import { isUnreadable } from './bad-sectors.ts';

/** The `clog` directory, through the port. */
export interface LogSource {
  readonly files: ReadableFiles;
  readonly directory: string;
}

/** An index of a 64 GiB segment with an entry every 4096 bytes; a longer file is no index of ours to believe. */
const OFFSET_INDEX_BYTES_MAX = 256 * 1024 * 1024;

/** The content of a segment's offset index: a hint. Undefined where there is none, none to believe, or none to be read. */
export async function readOffsetIndex(source: LogSource, tx: TxOffset): Promise<Uint8Array | undefined> {
  try {
    return await readIndexFile(source, tx);
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

function readIndexFile({ files, directory }: LogSource, tx: TxOffset): Promise<Uint8Array | undefined> {
  const path = join(directory, formatOffsetIndexName(tx));
  return readingFrom(path, async () => {
    const file = await files.open(path);
    if (file === null) return undefined;
    await using _ = file;
    const { size } = await file.facts();
    if (size > OFFSET_INDEX_BYTES_MAX) return undefined;
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, await file.read(bytes, 0));
  });
}
