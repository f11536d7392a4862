/**
 * Judges a restored log against its source, commit by commit: it must be one unbroken run of the source's commits, with
 * the same bytes, and reach at least as far as the program had said.
 */
import { commitsOf, type RecordedCommit, readSegments } from '../support/recorded-database.ts';

export interface LogComparison {
  /** One line each; empty where the restore is right. */
  readonly differences: readonly string[];
  /** First and last transaction of what was restored; -1 where there is nothing. */
  readonly first: bigint;
  readonly last: bigint;
  /** Commits whose bytes were compared: the source may have been pruned below its newest snapshot. */
  readonly compared: number;
}

export interface Expected {
  /** It must end at least here: what was told to be stored. */
  readonly atLeast: bigint;
  /** It must end here; null while the source still grows. */
  readonly last: bigint | null;
}

const commitsIn = async (directory: string): Promise<RecordedCommit[]> =>
  commitsOf({ directory, segments: await readSegments(directory), snapshots: [] });

/** @param restored read before the source, which may grow meanwhile */
export async function compareLog(restored: string, source: string, expected: Expected): Promise<LogComparison> {
  const commits = await commitsIn(restored);
  // A garbage tail that a kill left is followed by the same offsets in the next segment: the later ones count.
  const sources = new Map((await commitsIn(source)).map((commit) => [commit.firstTx, commit]));
  const sourceStart = sources.keys().next().value ?? 0n;
  const differences: string[] = [];
  let compared = 0;
  for (const [index, commit] of commits.entries()) {
    const before = commits[index - 1];
    if (before !== undefined && commit.firstTx !== before.lastTx + 1n)
      differences.push(`${commit.firstTx} follows ${before.lastTx}`);
    const own = sources.get(commit.firstTx);
    if (own?.bytes.equals(commit.bytes)) compared += 1;
    else if (own !== undefined) differences.push(`the commit at ${commit.firstTx} has other bytes`);
    else if (commit.firstTx >= sourceStart) differences.push(`the source has no commit at ${commit.firstTx}`);
  }
  const last = commits.at(-1)?.lastTx ?? -1n;
  if (last < expected.atLeast) differences.push(`ends at ${last}; ${expected.atLeast} was told to be stored`);
  if (expected.last !== null && last !== expected.last) differences.push(`ends at ${last}, not at ${expected.last}`);
  return { differences: differences.slice(0, 20), first: commits[0]?.firstTx ?? -1n, last, compared };
}
