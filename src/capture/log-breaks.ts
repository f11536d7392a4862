/** Why a log that was being read does not go on as it should, in words; and the check that it still is the same one. */
import { SourceDivergedError } from '../core/errors.ts';
import { byteOffset } from '../core/types.ts';
import { COMMIT_CRC_BYTES } from '../spacetimedb/commit.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import type { SegmentReader } from '../spacetimedb/segment-reader.ts';
import type { SegmentEntry } from '../spacetimedb/segments.ts';
import type { TailPosition } from './commit-run.ts';
import { DAMAGE_HINT, LogDamagedError } from './log-damage.ts';
import type { Stall } from './read-run.ts';

/**
 * Whether the commit before the position still ends there, by its checksum: a file may be cut back and grow again
 * between two looks, or another history take its name, with commits that fit the place and the offset.
 *
 * @throws SourceDivergedError
 */
export async function requireSameHistory(reader: SegmentReader, position: TailPosition): Promise<void> {
  const { at, crc, nextTx, begins } = position;
  if (at === SEGMENT_HEADER_BYTES) return;
  const facts = { path: reader.path, tx: nextTx };
  const plainBytes = await reader.plainBytes();
  if (plainBytes < at) {
    throw new SourceDivergedError(
      `${reader.path} ended at byte ${at} and now has only ${plainBytes}: the log was cut back`,
      { facts },
    );
  }
  if (begins) return;
  const ending = await reader.read(byteOffset(at - COMMIT_CRC_BYTES), COMMIT_CRC_BYTES);
  if (ending.byteLength === COMMIT_CRC_BYTES && Buffer.from(ending).readUInt32LE() === crc) return;
  throw new SourceDivergedError(
    `${reader.path} no longer holds the commit that ended at byte ${at}: the log was written anew`,
    { facts },
  );
}

/** A segment that holds commits stands behind a place where the log does not lead to it. */
export function brokenBefore(
  successor: SegmentEntry,
  { position, stall, path }: { position: TailPosition; stall: Stall | null; path: string | null },
): SourceDivergedError | LogDamagedError {
  const { nextTx, segment, at } = position;
  const facts = { tx: nextTx, segment, successor: successor.tx, byte: at, path };
  const tail = stall !== null && stall.kind !== 'end' ? `, a bad commit (${stall.kind})` : '';
  const where = `transaction ${nextTx}, at byte ${at} of segment ${segment}${tail}`;
  if (successor.tx < nextTx) {
    return new SourceDivergedError(`${successor.path} begins before ${where}: the log was written anew`, { facts });
  }
  const message = `the log goes on in ${successor.path}, but lacks ${where}`;
  return new LogDamagedError(message, { hint: DAMAGE_HINT, facts, damage: position });
}

export function vanished(
  directory: string,
  { position, listed }: { position: TailPosition; listed: readonly SegmentEntry[] },
): SourceDivergedError {
  const { segment, nextTx } = position;
  return new SourceDivergedError(
    listed.length === 0
      ? `the commit log in ${directory} is gone`
      : `segment ${segment} is gone from ${directory} before transaction ${nextTx} could be read`,
    { facts: { directory, segment, tx: nextTx } },
  );
}
