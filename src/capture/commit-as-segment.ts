/** One commit of the local log as a segment of its own, as it is stored with a snapshot. Local reads only. */
import { CorruptionError, LocalFileError, UnsupportedFormatError } from '../core/errors.ts';
import type { Micros, Position, TxOffset } from '../core/types.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { listSegments } from '../spacetimedb/segments.ts';
import { isUnreadable, throughBadSectors } from './bad-sectors.ts';
import { type LogSource, readOffsetIndex } from './log-source.ts';
import { locateThroughDamage } from './segment-ends.ts';

export interface CommitAsSegment {
  /** The segment's header, then the commit. */
  readonly bytes: Uint8Array;
  readonly position: Position;
  readonly time: Micros | null;
}

interface ReadCommitOptions {
  /** A longer one counts as not held. */
  readonly commitBytesMax: number;
}

/**
 * A commit as a segment of its own. Null where the log no longer holds it.
 *
 * @throws LocalFileError where that is not known; CorruptionError, UnsupportedFormatError
 */
export async function readCommitAsSegment(
  source: LogSource,
  tx: TxOffset,
  options: ReadCommitOptions,
): Promise<CommitAsSegment | null> {
  try {
    return await readCommit(source, tx, options);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    // It may stand behind what cannot be read; its own checksum proves it.
    const found = await readCommit({ ...source, files: throughBadSectors(source.files) }, tx, options).catch(
      (failure: unknown) => {
        // What filler makes of a file is nothing that is known of it.
        if (failure instanceof CorruptionError || failure instanceof UnsupportedFormatError) return null;
        throw failure;
      },
    );
    if (found === null) throw error;
    return found;
  }
}

async function readCommit(
  { files, directory }: LogSource,
  tx: TxOffset,
  { commitBytesMax }: ReadCommitOptions,
): Promise<CommitAsSegment | null> {
  const segments = await listSegments(files, directory);
  const segment = segments.findLast((entry) => entry.tx <= tx && entry.size > SEGMENT_HEADER_BYTES);
  const reader = segment && (await openSegment(files, segment));
  if (!segment || !reader) return null;
  await using _ = reader;
  const offsetIndex = await readOffsetIndex({ files, directory }, segment.tx);
  const found = await locateThroughDamage(reader, tx, { offsetIndex });
  const { header, version, path } = reader;
  if (found === null || header === null || version === null || found.end - found.start > commitBytesMax) return null;
  const commit = await reader.read(found.start, found.end - found.start);
  // Read a second time, by a disk that may fail meanwhile: what was proven are the bytes of the first.
  const again = new CommitScanner({ version, expectedTx: found.tx, at: found.start });
  again.push(commit);
  if (again.lastCrc !== found.crc) {
    throw new LocalFileError(`${path} is not read twice alike: the commit of transaction ${tx}`, {
      facts: { path, tx },
    });
  }
  return {
    bytes: Buffer.concat([header, commit]),
    position: { tx: found.lastTx, crc: found.crc },
    time: found.time,
  };
}
