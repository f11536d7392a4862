/**
 * Two and five real processes of one owner race over one backup in a real S3 server behind a bad line, each from its own diverging copy,
 * while SIGSTOP, SIGCONT and SIGKILL strike at random. Invariants: every line in the store is the beginning of exactly
 * one copy's history, and verifies by names and by content; what a writer reported as stored is in its generation, byte
 * for byte; a restore, at any moment, is the beginning of one copy's history; a clone with another owner gets nothing.
 *
 * STDB_TEST_RACE_SECONDS makes it longer, STDB_TEST_RACE_SEED repeats its choices (not its timing).
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { partsFrom } from '../support/diverging-copy.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { commitsOf, readDatabase } from '../support/recorded-database.ts';
import { StoredLines } from '../support/stored-lines.ts';
import { readHead, readStored, type StoredDatabase } from '../support/stored-log.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type RacedRun, WriterRace } from '../support/writer-race.ts';

const SECONDS = Number(process.env['STDB_TEST_RACE_SECONDS'] ?? 0);
const SEED = Number(process.env['STDB_TEST_RACE_SEED'] ?? Date.now() % 1_000_000);
const RESTORE_EVERY_MS = 4_000;
/** Held by a living process; fenced. A killed one has no code. */
const EXPECTED_CODES = [null, 11, 13];

const s3 = await faultyS3();

describe('one writer', () => {
  for (const { writers, seconds } of [
    { writers: 2, seconds: SECONDS },
    { writers: 5, seconds: SECONDS === 0 ? 25 : SECONDS },
  ]) {
    if (seconds > 0) s3.test(`a race of ${writers}`, () => race(writers, seconds), seconds * 2_000 + 90_000);
  }
});

async function race(writers: number, seconds: number): Promise<void> {
  await using place = await temporaryDirectory();
  await using store = await s3.open();
  const random = mulberry32(SEED);
  const options = {
    at: (...names: readonly string[]) => place.at(...names),
    url: store.url,
    env: store.env,
  };
  await using race = new WriterRace({ ...options, writers, milliseconds: seconds * 1_000, random });
  await race.prepare();

  const running = race.run();
  let restores = 0;
  let clones = 0;
  const judged = async (mayBeEmpty: boolean): Promise<void> => {
    const restored = await race.restore();
    if (mayBeEmpty && restored.code === 10) return;
    expect(restored.code, restored.stderr).toBe(0);
    const commits = commitsOf(await readDatabase(restored.directory));
    expect(ownersOf(commits, race), `${commits.length} commits of ${restored.directory}`).not.toEqual([]);
    restores += 1;
    await race.forget(restored);
  };
  while (!race.isOver) {
    await judged(restores === 0);
    if (restores > 0 && clones < 1 + seconds / 20) {
      const clone = await race.clone();
      expect(clone.code, clone.stderr).toBe(11);
      clones += 1;
    }
    await delay(RESTORE_EVERY_MS * random());
  }
  const { runs, stops, kills } = await running;

  for (const { code, stderr } of runs) expect(EXPECTED_CODES, stderr.slice(-4_000)).toContain(code);
  await judged(false);
  const root = await store.asFiles();
  const stored = await readStored(root);
  const lines = await StoredLines.read(root, stored);
  const longest = await judgeLines(lines, race, root);
  await judgeReports(lines, { stored, runs, race });

  // It goes on: whoever comes next, from whichever copy, stores all of it.
  const last = race.copies.length - 1;
  const settled = await race.settle(last);
  expect(settled.code, settled.stderr).toBe(0);
  const restored = await race.restore();
  expect(restored.code, restored.stderr).toBe(0);
  const commits = commitsOf(await readDatabase(restored.directory));
  expect(commits).toHaveLength(race.copies[last]?.commits.length ?? -1);
  expect(ownersOf(commits, race)).toEqual([last]);

  const codes = runs.map(({ code, signal }) => signal ?? code);
  const count = (code: unknown): number => codes.filter((each) => each === code).length;
  process.stderr.write(
    `race of ${writers}, ${seconds} s, seed ${SEED}: ${runs.length} runs (${count('SIGKILL')} killed, ${count(13)} fenced, ` +
      `${count(11)} refused), ${stops} stops, ${kills} kills, ${stored.generations.length} generations, ` +
      `${longest} commits in the longest line, ${runs.flatMap((run) => run.stored).length} objects reported stored, ` +
      `${restores} restores, ${clones} clones refused, ` +
      `${store.proxy.faults} of ${store.proxy.requests} requests met with a fault\n`,
  );
}

/** The copies whose history begins with these commits; all of them for what is common to all. */
const ownersOf = (commits: readonly { readonly bytes: Buffer }[], { copies }: WriterRace): number[] =>
  copies.flatMap((copy, index) => (commits.length > 0 && partsFrom(commits, copy) === null ? [index] : []));

/** Every line, the head's and those that were left, is of one copy. @returns the commits of the longest */
async function judgeLines(lines: StoredLines, race: WriterRace, root: string): Promise<number> {
  const { generation: head, owner } = (await readHead(root)) as { generation: string; owner: string };
  expect(owner).toBe('game-0');
  expect(lines.names).toContain(head);
  let longest = 0;
  for (const name of lines.names) {
    const { commits, faults } = await lines.line(name);
    expect(faults, name).toEqual([]);
    if (commits.length > 0) expect(ownersOf(commits, race), `line of ${name}`).not.toEqual([]);
    longest = Math.max(longest, commits.length);
  }
  expect((await lines.line(head)).commits.length).toBeGreaterThan(0);
  return longest;
}

/** What was reported is there, in the generation of who reported it, and is what that copy holds. */
async function judgeReports(
  lines: StoredLines,
  { stored, runs, race }: { stored: StoredDatabase; runs: readonly RacedRun[]; race: WriterRace },
): Promise<void> {
  const objects = new Map(stored.generations.flatMap((one) => one.objects.map((object) => [object.key, object])));
  for (const run of runs) {
    const ofCopy = new Map(race.copies[run.copy]?.commits.map((commit) => [commit.first, commit]));
    for (const key of run.stored) {
      expect(
        run.generations.some((generation) => key.startsWith(`generations/${generation}/`)),
        key,
      ).toBe(true);
      const object = objects.get(key);
      expect(object, `${key} was reported as stored`).toBeDefined();
      if (object === undefined) continue;
      const { commits, faults } = await lines.commitsOf(object);
      expect(faults).toEqual([]);
      for (const { firstTx, bytes } of commits) {
        expect(ofCopy.get(firstTx)?.bytes.equals(bytes), `${key}: transaction ${firstTx} of copy ${run.copy}`).toBe(
          true,
        );
      }
    }
  }
}

/** A small seeded source of numbers in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
