/** Names in a server data directory that an image lists without holding them: its databases and its programs. */
import { join } from 'node:path';
import { systemCode } from '../../core/errors.ts';
import type { ReadableFiles } from '../../core/readable-files.ts';
import { CLOG_DIR, parseReplicaId, parseSegmentName, REPLICAS_DIR } from '../../spacetimedb/file-names.ts';
import { readingFrom } from '../../spacetimedb/reading-from.ts';
import { SEGMENT_HEADER_BYTES } from '../../spacetimedb/segment-header.ts';
import { isProgramDirName, parseProgramName, PROGRAM_BYTES_DIR } from '../../spacetimedb/server-files.ts';

/**
 * The replica directories that hold a database: a segment longer than its header. One without is what a server that was
 * killed leaves behind: it has no recovery point, and an image that listed it could never be restored.
 *
 * @returns ids, ascending
 * @throws LocalFileError
 */
export function listReplicaIds(files: ReadableFiles, dataDirectory: string): Promise<readonly bigint[]> {
  const directory = join(dataDirectory, REPLICAS_DIR);
  return readingFrom(directory, async () => {
    const ids: bigint[] = [];
    for (const name of (await files.list(directory)) ?? []) {
      const id = parseReplicaId(name);
      if (id !== null && (await holdsCommits(files, join(directory, name, CLOG_DIR)))) ids.push(id);
    }
    return ids.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  });
}

/** One that cannot be read counts as one that holds some: its own replicator says what is wrong with it. */
async function holdsCommits(files: ReadableFiles, clog: string): Promise<boolean> {
  try {
    return await findsCommits(files, clog);
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return true;
  }
}

async function findsCommits(files: ReadableFiles, clog: string): Promise<boolean> {
  for (const name of (await files.list(clog)) ?? []) {
    if (parseSegmentName(name) === null) continue;
    const facts = await files.facts(join(clog, name));
    if (facts?.kind === 'file' && facts.size > SEGMENT_HEADER_BYTES) return true;
  }
  return false;
}

/**
 * Names of all programs, ascending.
 *
 * @throws LocalFileError
 */
export function listPrograms(files: ReadableFiles, dataDirectory: string): Promise<readonly string[]> {
  const directory = join(dataDirectory, PROGRAM_BYTES_DIR);
  return readingFrom(directory, async () => {
    const hashes: string[] = [];
    for (const first of (await files.list(directory)) ?? []) {
      if (!isProgramDirName(first)) continue;
      for (const name of (await files.list(join(directory, first))) ?? []) {
        const hash = parseProgramName(first, name);
        if (hash !== null) hashes.push(hash);
      }
    }
    return hashes.sort();
  });
}
