/** Finds the commit that holds a transaction in one segment. */
import { byteOffset, type TxOffset } from '../core/types.ts';
import type { CommitFacts } from './commit-facts.ts';
import { CommitScanner } from './commit-scanner.ts';
import { decodeOffsetIndex, findIndexEntry, type OffsetIndexEntry } from './offset-index.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { SegmentReader } from './segment-reader.ts';

const CHUNK_BYTES = 256 * 1024;

export interface LocateOptions {
  /** The content of the segment's offset index: a hint. */
  readonly offsetIndex?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The checked commit that holds `tx`; null when the segment's valid commits do not reach it. An index entry is used only
 * if a good commit of its offset stands where it points, otherwise the segment is scanned from its start.
 *
 * @throws what the reader throws
 */
export async function locateCommit(
  reader: SegmentReader,
  tx: TxOffset,
  { offsetIndex, signal }: LocateOptions = {},
): Promise<CommitFacts | null> {
  if (reader.version === null || tx < reader.tx) return null;
  const start: OffsetIndexEntry = { tx: reader.tx, at: byteOffset(SEGMENT_HEADER_BYTES) };
  const hint = offsetIndex === undefined ? null : findIndexEntry(decodeOffsetIndex(offsetIndex), tx);
  if (hint !== null && hint.at >= start.at && hint.tx >= start.tx) {
    const scan = await scanFor(reader, tx, { from: hint, signal });
    if (scan.commits > 0) return scan.found;
  }
  return (await scanFor(reader, tx, { from: start, signal })).found;
}

interface Scan {
  readonly commits: number;
  readonly found: CommitFacts | null;
}

async function scanFor(
  reader: SegmentReader,
  tx: TxOffset,
  { from, signal }: { readonly from: OffsetIndexEntry; readonly signal: AbortSignal | undefined },
): Promise<Scan> {
  if (reader.version === null) return { commits: 0, found: null };
  let found: CommitFacts | null = null;
  const scanner = new CommitScanner({
    version: reader.version,
    expectedTx: from.tx,
    at: from.at,
    onCommit: (facts) => {
      if (found === null && facts.lastTx >= tx) found = { ...facts, recordPrefix: facts.recordPrefix.slice() };
    },
  });
  for (let at: number = from.at; found === null && scanner.problem === null; ) {
    signal?.throwIfAborted();
    const bytes = await reader.read(byteOffset(at), CHUNK_BYTES);
    if (bytes.byteLength === 0) break;
    scanner.push(bytes);
    at += bytes.byteLength;
  }
  return { commits: scanner.commits, found };
}
