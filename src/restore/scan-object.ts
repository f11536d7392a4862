/** The commits of one log object, read frame by frame as far as they are wanted, each checked. */
import { CorruptionError } from '../core/errors.ts';
import { formatPosition, type Micros } from '../core/types.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import type { LineStep } from '../layout/walk-line.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { decodeRecordPrefix } from '../spacetimedb/record-prefix.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { type FetchOptions, fetchParts } from './fetch-parts.ts';
import { partBytesFor, partCount, PartStream, partsOf } from './part-stream.ts';
import type { PointCommit } from './point-request.ts';

/** What is read ahead of the wanted commit is thrown away: little at once. */
const PART_BYTES_MAX = 1024 * 1024;
const PARTS_AHEAD_MAX = 4;

export interface ScanObjectOptions {
  readonly fetch: FetchOptions;
  /** The line's time before the object's first commit. */
  readonly timeBefore: Micros;
  /**
   * Called for each commit up to the step's cut, with the line's time after it; true ends the scan. The facts'
   * `recordPrefix` is valid during the call.
   */
  readonly visit: (facts: CommitFacts, time: Micros) => boolean;
}

/**
 * Where the scan was not ended by `visit`, it is proven that the object holds what its name says, or up to the cut.
 *
 * @throws CorruptionError with the object's key in its facts; ObjectNotFoundError, and what the client throws
 */
export async function scanObject(
  { object, cut }: Pick<LineStep, 'object' | 'cut'>,
  { fetch, timeBefore, visit }: ScanObjectOptions,
): Promise<void> {
  const { key } = object;
  const corrupt = (what: string): CorruptionError =>
    new CorruptionError(`the log object ${key} ${what}`, { facts: { key } });
  const partBytes = Math.min(PART_BYTES_MAX, partBytesFor(fetch.budget.bytesMax));
  const parallelism = Math.min(PARTS_AHEAD_MAX, fetch.parallelism);
  await using stream = new PartStream(fetchParts(partsOf(object, partBytes), { ...fetch, parallelism }));
  let scanner: CommitScanner | null = null;
  let ended = false;
  let wrongCut = false;
  const onCommit = (facts: CommitFacts): void => {
    if (ended || scanner === null) return;
    // A commit that reaches over the cut belongs to another history than the cut's own.
    wrongCut = cut !== null && (facts.lastTx > cut.tx || (facts.lastTx === cut.tx && facts.crc !== cut.crc));
    ended = wrongCut || visit(facts, scanner.time) || facts.lastTx === cut?.tx;
  };
  for await (const frame of decodeLogObject(stream.next(partCount(object, partBytes)), object)) {
    let bytes = frame;
    if (scanner === null) {
      const { version } = decodeSegmentHeader(bytes, { path: key });
      bytes = bytes.subarray(SEGMENT_HEADER_BYTES);
      scanner = new CommitScanner({ version, expectedTx: object.first, timeBefore, onCommit });
    }
    scanner.push(bytes);
    if (wrongCut) throw corrupt(`has another commit at ${cut?.tx} than the generation that branched off there names`);
    if (ended) return;
    const { problem } = scanner;
    if (problem !== null)
      throw corrupt(`holds a bad commit where transaction ${problem.tx} should be (${problem.kind})`);
  }
  const lastTx = scanner?.lastTx ?? null;
  const lastCrc = scanner?.lastCrc ?? null;
  if (cut === null && lastTx === object.last && lastCrc === object.crc && scanner?.pendingBytes === 0) return;
  if (cut !== null) throw corrupt(`does not hold the commit that ends at ${formatPosition(cut)}`);
  const found = lastTx === null || lastCrc === null ? 'no commit' : formatPosition({ tx: lastTx, crc: lastCrc });
  throw corrupt(`ends with ${found}, and its name says ${formatPosition({ tx: object.last, crc: object.crc })}`);
}

export const pointCommit = ({ tx, lastTx, crc, time, recordPrefix }: CommitFacts): PointCommit => ({
  first: tx,
  last: lastTx,
  crc,
  time,
  reducer: decodeRecordPrefix(recordPrefix)?.reducer ?? null,
});
