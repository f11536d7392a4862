/**
 * Writes the planned segments: their objects, fetched ahead, through the writer that proves them (`log-writer.ts`). Not
 * responsible for: which objects are wanted (`plan.ts`).
 */
import { type FetchOptions, fetchParts, type Part } from './fetch-parts.ts';
import { LogWriter, type LogWriterOptions, type WrittenLog } from './log-writer.ts';
import { PartBuffers } from './part-buffers.ts';
import { partCount, PartStream, partsOf } from './part-stream.ts';
import type { LogPiece, PlannedSegment } from './plan-types.ts';

export interface WriteLogOptions extends LogWriterOptions {
  readonly segments: readonly PlannedSegment[];
  /** Begin the log with `snapshotCommit`. */
  readonly commitFromManifest: boolean;
  readonly fetch: FetchOptions;
  readonly partBytes: number;
  readonly onObject: () => void;
}

/** @throws CorruptionError, LocalFileError, and what the store's client throws */
export async function writeLog(options: WriteLogOptions): Promise<WrittenLog> {
  await using log = new LogWriter(options);
  const { snapshotCommit, commitFromManifest, fetch, partBytes } = options;
  if (commitFromManifest && snapshotCommit !== null) await log.writeManifestCommit(snapshotCommit);
  const planned = options.segments.flatMap(({ pieces }) => pieces);
  const pieces = options.onReused === undefined ? planned : planned.slice(await log.reuse(planned, options.onReused));
  using buffers = new PartBuffers(partBytes);
  await using stream = new PartStream(fetchParts(partsOfAll(pieces, partBytes), { ...fetch, buffers }));
  for (const piece of pieces) {
    await log.writePiece(piece, stream.next(partCount(piece.object, partBytes)));
    options.onObject();
  }
  return await log.finish();
}

function* partsOfAll(pieces: readonly LogPiece[], partBytes: number): Generator<Part, void, void> {
  for (const { object } of pieces) yield* partsOf(object, partBytes);
}
