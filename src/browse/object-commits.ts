/** The commits of one whole log object, frame by frame, each checked. */
import { CorruptionError } from '../core/errors.ts';
import { formatPosition, type Micros } from '../core/types.ts';
import type { LogObject } from '../layout/keys.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import type { LineStep } from '../layout/walk-line.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { fetchParts } from '../restore/fetch-parts.ts';
import { partBytesFor, partCount, partsOf, PartStream } from '../restore/part-stream.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { type LoggedCommit, loggedCommit } from './logged-commit.ts';
import { smallPieces } from './small-pieces.ts';

/** What is read ahead of a reader that stops is thrown away: little at once. */
const PART_BYTES_MAX = 1024 * 1024;
const PARTS_AHEAD_MAX = 4;

/** A commit, and the line's time there. */
export interface TimedCommit {
  readonly commit: LoggedCommit;
  readonly time: Micros;
}

export interface ObjectCommitsOptions {
  readonly fetch: FetchOptions;
  /** The line's time before the object's first commit. */
  readonly timeBefore: Micros;
}

export const corruptLog = ({ key }: LogObject, what: string): CorruptionError =>
  new CorruptionError(`the log object ${key} ${what}`, { facts: { key } });

/**
 * Up to the step's cut, in small batches. Once it has ended by itself, it is proven that the object holds what its
 * name says, or the cut.
 *
 * @throws CorruptionError, UnsupportedFormatError, ObjectNotFoundError with the key in their facts; what the client throws
 */
export async function* objectCommits(
  { object, cut }: Pick<LineStep, 'object' | 'cut'>,
  { fetch, timeBefore }: ObjectCommitsOptions,
): AsyncGenerator<readonly TimedCommit[], void, void> {
  const partBytes = Math.min(PART_BYTES_MAX, partBytesFor(fetch.budget.bytesMax));
  const parallelism = Math.min(PARTS_AHEAD_MAX, fetch.parallelism);
  await using stream = new PartStream(fetchParts(partsOf(object, partBytes), { ...fetch, parallelism }));
  let scanner: CommitScanner | null = null;
  let batch: TimedCommit[] = [];
  let end: CommitFacts | null = null;
  const onCommit = (facts: CommitFacts): void => {
    if (scanner === null || (cut !== null && end !== null && end.lastTx >= cut.tx)) return;
    end = facts;
    batch.push({ commit: loggedCommit(facts, object.generation), time: scanner.time });
  };
  const last = (): CommitFacts | null => end;
  for await (const frame of decodeLogObject(stream.next(partCount(object, partBytes)), object)) {
    let bytes = frame;
    if (scanner === null) {
      const { version } = decodeSegmentHeader(bytes, { path: object.key });
      bytes = bytes.subarray(SEGMENT_HEADER_BYTES);
      scanner = new CommitScanner({ version, expectedTx: object.first, timeBefore, onCommit });
    }
    for (const piece of smallPieces(bytes)) {
      scanner.push(piece);
      const found = last();
      const isCut = cut !== null && found !== null && found.lastTx >= cut.tx;
      if (isCut && (found.lastTx !== cut.tx || found.crc !== cut.crc)) {
        throw corruptLog(object, `has another commit at ${cut.tx} than the generation that branched off there names`);
      }
      if (batch.length > 0) yield batch;
      batch = [];
      if (isCut) return;
      const { problem } = scanner;
      if (problem !== null) {
        throw corruptLog(object, `holds a bad commit where transaction ${problem.tx} should be (${problem.kind})`);
      }
    }
  }
  if (cut !== null) throw corruptLog(object, `does not hold the commit that ends at ${formatPosition(cut)}`);
  const found = last();
  if (found?.lastTx === object.last && found.crc === object.crc && scanner?.pendingBytes === 0) return;
  throw corruptLog(
    object,
    `does not end with ${formatPosition({ tx: object.last, crc: object.crc })}, as its name says`,
  );
}
