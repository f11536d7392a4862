/**
 * The whole line of a store, object by object, by a reader that shares no code with the program: a restore reads it only
 * from the newest snapshot on.
 */
import { commitsOf, readSegments, type RecordedSegment } from '../support/recorded-database.ts';
import { StoredLines } from '../support/stored-lines.ts';
import { readHead, readStored } from '../support/stored-log.ts';

export interface JudgedLine {
  /** One line each; empty where the store holds the source's commits, all of them, from the first one on. */
  readonly faults: readonly string[];
  readonly commits: number;
}

/**
 * @param root of the store on disk, at which nothing is written any more
 * @param places the source's directory, and before it the one that its pruned segments were moved to
 */
export async function judgeLine(root: string, places: readonly string[]): Promise<JudgedLine> {
  const { generation } = await readHead(root);
  const { commits, faults } = await (await StoredLines.read(root, await readStored(root))).line(generation);
  const segments: RecordedSegment[] = [];
  for (const place of places) segments.push(...(await readSegments(place)));
  // A garbage tail that a kill left is followed by the same offsets in the next segment: the later ones count.
  const sources = new Map(
    commitsOf({ directory: root, segments, snapshots: [] }).map((commit) => [commit.firstTx, commit] as const),
  );
  const stored = new Map(commits.map((commit) => [commit.firstTx, commit] as const));
  const different = [...sources].filter(([tx, { bytes }]) => !stored.get(tx)?.bytes.equals(bytes));
  const missing = different.slice(0, 5).map(([tx]) => `the commit at ${tx} is not stored, or with other bytes`);
  const many = commits.length === sources.size ? [] : [`${commits.length} commits are stored, not ${sources.size}`];
  return { faults: [...faults, ...missing, ...many].slice(0, 20), commits: commits.length };
}
