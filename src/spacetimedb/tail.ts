/** What the end of a segment's longest valid prefix means, as a table over what the scan found and what follows. */
import type { ScanProblemKind } from './commit-facts.ts';
import type { CommitScanner } from './commit-scanner.ts';

/**
 * complete: the segment ends with a whole commit.
 * in-progress: a part of a commit at the end of the log: being written, or a torn tail of which nothing more comes.
 * torn: the same in a segment that has a successor: left behind by a crash, and ignored by the engine.
 * zero: never-written space from here on.
 * bad-crc: something other than a commit stands there. out-of-order: a commit that does not continue the log.
 * unsupported-version: nothing can be said of the segment.
 */
export type TailClass =
  | 'complete'
  | 'in-progress'
  | 'torn'
  | 'zero'
  | 'bad-crc'
  | 'out-of-order'
  | 'unsupported-version';

/** What a scan up to the end of the file's bytes left; or that the header named a version that is not known. */
export type ScannedTail = Pick<CommitScanner, 'problem' | 'pendingBytes'> | 'unsupported-version';

type Finding = ScanProblemKind | 'nothing' | 'partial' | 'unsupported-version';

interface TailRow {
  readonly last: TailClass;
  readonly hasSuccessor: TailClass;
}

/**
 * With a successor that holds a commit the segment is final, and only its longest valid prefix counts. Without one,
 * everything but `complete` may still become a commit (in preallocated space a write shows page by page): a reader
 * rewinds its scanner and reads from `end` again when the file has changed.
 */
export const TAIL_TABLE: Readonly<Record<Finding, TailRow>> = {
  nothing: { last: 'complete', hasSuccessor: 'complete' },
  partial: { last: 'in-progress', hasSuccessor: 'torn' },
  zero: { last: 'zero', hasSuccessor: 'zero' },
  'bad-crc': { last: 'bad-crc', hasSuccessor: 'bad-crc' },
  'bad-length': { last: 'bad-crc', hasSuccessor: 'bad-crc' },
  'out-of-order': { last: 'out-of-order', hasSuccessor: 'out-of-order' },
  'epoch-backwards': { last: 'out-of-order', hasSuccessor: 'out-of-order' },
  'unsupported-version': { last: 'unsupported-version', hasSuccessor: 'unsupported-version' },
};

/** @param options.hasSuccessor whether a later segment holds a commit: an empty one does not count */
export function classifyTail(scan: ScannedTail, { hasSuccessor }: { readonly hasSuccessor: boolean }): TailClass {
  const row = TAIL_TABLE[findingOf(scan)];
  return hasSuccessor ? row.hasSuccessor : row.last;
}

function findingOf(scan: ScannedTail): Finding {
  if (scan === 'unsupported-version') return scan;
  return scan.problem?.kind ?? (scan.pendingBytes > 0 ? 'partial' : 'nothing');
}
