/** Invariant: the soak's judge of logs finds every way in which a restored log may differ from its source. */
import { appendFile, cp, readdir, rm, truncate, writeFile, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';
import { DivergingCopy } from '../support/diverging-copy.ts';
import { compareLog } from './compare-log.ts';

const COMMITS = 900;

/** A source of three segments, and a copy of it in the place of a restore. */
async function sourceAndCopy(directory: TemporaryDirectory): Promise<{ last: bigint; segments: string[] }> {
  const source = new DivergingCopy(directory.at('source'), 'source');
  await source.create();
  await source.grow(COMMITS);
  await cp(directory.at('source'), directory.at('restored'), { recursive: true });
  const segments = (await readdir(directory.at('restored', 'clog'))).toSorted();
  return { last: source.nextTx - 1n, segments: segments.map((name) => directory.at('restored', 'clog', name)) };
}

type Change = (segments: readonly string[]) => Promise<void>;
const [first, middle, newest] = [0, 1, 2].map((index) => (names: readonly string[]) => names[index] ?? '');

const WRONG: readonly (readonly [name: string, change: Change, says: RegExp])[] = [
  ['a hole', (names) => rm(middle?.(names) ?? ''), /follows/],
  ['a missing end', (names) => rm(newest?.(names) ?? ''), /ends at \d+, not at/],
  ['a flipped byte', (names) => flip(first?.(names) ?? ''), /has other bytes/],
  ['a commit too many', (names) => repeatHead(newest?.(names) ?? ''), /follows/],
];

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[60] = (bytes[60] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

async function repeatHead(path: string): Promise<void> {
  await appendFile(path, (await readFile(path)).subarray(10));
}

test('a whole copy, one without its beginning, and a beginning of it are right', async () => {
  await using directory = await temporaryDirectory();
  const { last, segments } = await sourceAndCopy(directory);
  const compare = (atLeast: bigint, end: bigint | null): ReturnType<typeof compareLog> =>
    compareLog(directory.at('restored'), directory.at('source'), { atLeast, last: end });
  expect(await compare(last, last)).toMatchObject({ differences: [], first: 0n, last, compared: COMMITS });
  await rm(first?.(segments) ?? '');
  expect((await compare(last, last)).differences).toEqual([]);
  await truncate(newest?.(segments) ?? '', 500);
  const cut = await compare(0n, null);
  expect(cut.differences).toEqual([]);
  expect(cut.last).toBeLessThan(last);
  expect((await compare(last, null)).differences).toEqual([expect.stringMatching(/was told to be stored/)]);
});

test.each(WRONG)('%s is found', async (_, change, says) => {
  await using directory = await temporaryDirectory();
  const { last, segments } = await sourceAndCopy(directory);
  await change(segments);
  const { differences } = await compareLog(directory.at('restored'), directory.at('source'), { atLeast: last, last });
  expect(differences.join('\n')).toMatch(says);
});
