/**
 * The last segment of a restored log must be of format version 1: the engine opens one of version 0 only where another
 * one follows. So a log that ends in version 0 is written as its source had it, proven, and then its last file again.
 */
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from '../core/atomic-file.ts';
import { CorruptionError, localFileError, ReplicateError, systemCode } from '../core/errors.ts';
import type { Crc32c, TxOffset } from '../core/types.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { CommitUpgrade } from '../spacetimedb/commit-upgrade.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { SegmentWriter } from './segment-writer.ts';
import type { TargetSystem } from './target-system.ts';

const READ_BYTES = 1024 * 1024;

export interface UpgradeSegmentOptions {
  readonly clogDir: string;
  readonly system: TargetSystem;
  /** The segment's name: a finished file of version 0. */
  readonly first: TxOffset;
  /** What it ends with. */
  readonly lastTx: TxOffset;
  readonly signal: AbortSignal;
}

/**
 * Gives the bytes of the segment as it is now, and the checksum that its last commit has there.
 *
 * @throws LocalFileError; CorruptionError where the disk does not give back what was written
 */
export async function upgradeSegment(
  options: UpgradeSegmentOptions,
): Promise<{ readonly bytes: number; readonly crc: Crc32c }> {
  const { clogDir, system, first } = options;
  const path = join(clogDir, formatSegmentName(first));
  const old = join(clogDir, `${TEMPORARY_PREFIX}${formatSegmentName(first)}`);
  try {
    await rename(path, old);
    const header = encodeSegmentHeader({ version: 1 });
    await using writer = await SegmentWriter.create({ clogDir, system, first, header, version: 1 });
    const crc = await copyUpgraded(old, writer, options);
    await writer.finish();
    await rm(old);
    return { bytes: writer.bytes, crc };
  } catch (error) {
    if (error instanceof ReplicateError || systemCode(error) === null) throw error;
    throw localFileError('write', path, error);
  }
}

async function copyUpgraded(from: string, writer: SegmentWriter, options: UpgradeSegmentOptions): Promise<Crc32c> {
  const { first, lastTx, signal } = options;
  const upgrade = new CommitUpgrade();
  // What is written is judged by the decoder that judges every log.
  const scanner = new CommitScanner({ version: 1, expectedTx: first, onCommit: (facts) => writer.noteCommit(facts) });
  await using file = await open(from, 'r');
  const chunk = new Uint8Array(READ_BYTES);
  for (let at = SEGMENT_HEADER_BYTES; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, chunk.byteLength, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    const bytes = upgrade.push(chunk.subarray(0, bytesRead));
    scanner.push(bytes);
    await writer.write(bytes);
  }
  const isWhole = upgrade.isComplete && scanner.problem === null && scanner.pendingBytes === 0;
  if (isWhole && scanner.lastTx === lastTx && scanner.lastCrc !== null) return scanner.lastCrc;
  throw new CorruptionError(`${from} does not read back as it was written, up to transaction ${lastTx}`, {
    hint: 'The disk, or its memory, is at fault: restore to another one.',
    facts: { path: from, tx: lastTx },
  });
}
