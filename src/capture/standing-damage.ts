/** Whether a place where the log was damaged still is: an operator may have brought the file back. Local reads only. */
import { SourceDivergedError } from '../core/errors.ts';
import { findCommitBeyond } from './commit-beyond.ts';
import type { TailPosition } from './commit-run.ts';
import type { LogSource } from './log-source.ts';
import { DAMAGE_HINT, LogDamagedError } from './log-damage.ts';
import { LogTailer } from './log-tailer.ts';
import type { Stall } from './read-run.ts';

/**
 * Null where the log goes on there now, ends there now, or is another log now, which others decide about.
 *
 * @throws UnsupportedFormatError, LocalFileError
 */
export async function findStandingDamage(
  source: LogSource,
  damage: TailPosition,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<LogDamagedError | null> {
  await using tailer = new LogTailer({ ...source, from: damage });
  try {
    const { done } = await tailer.runs({ plainBytesMax: 1, signal }).next();
    if (!done) return null;
    const { stall, position } = tailer;
    if (stall === null || stall.kind === 'end') return null;
    return await findDamageAt(source, { stall, position, signal });
  } catch (error) {
    if (error instanceof LogDamagedError) return error;
    if (error instanceof SourceDivergedError) return null;
    throw error;
  }
}

/** Null where no good commit stands behind `position`: then what stands there is the end of the log. */
export async function findDamageAt(
  source: LogSource,
  { stall, position, signal }: { stall: Stall; position: TailPosition; signal?: AbortSignal | undefined },
): Promise<LogDamagedError | null> {
  const beyond = await findCommitBeyond(source, position, { signal });
  if (beyond === null) return null;
  const { segment, nextTx } = position;
  return new LogDamagedError(
    `the log goes on with transaction ${beyond.tx}, but lacks transaction ${nextTx}, at byte ${stall.at} of segment ${segment}: a bad commit (${stall.kind})`,
    {
      hint: DAMAGE_HINT,
      facts: { directory: source.directory, tx: nextTx, segment, byte: stall.at, goesOnAt: beyond.at },
      damage: position,
    },
  );
}
