/**
 * Invariant: a user who restores to a point gets exactly that one or is told the nearest; when the server goes on from
 * there and `replicate` with it, the default line is the new one, and the old one stays as it was, by its generation.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModelDatabase } from '../support/model-database.ts';
import { commitNames } from '../support/model-scene.ts';
import { type ProgramResult, runProgram } from '../support/program.ts';
import { type RecordedCommit, readRecordedLog } from '../support/recorded-log.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;
let url: string;
beforeEach(async () => {
  directory = await temporaryDirectory();
  await mkdir(directory.at('store'));
  url = `file://${directory.at('store')}`;
});
afterEach(() => directory[Symbol.asyncDispose]());

const run = (...args: string[]): Promise<ProgramResult> =>
  runProgram(args, { env: { STDB_REPLICATE_OWNER: 'points', TZ: 'America/New_York' } });

async function replicate(database: string): Promise<void> {
  const { code, stderr } = await run('replicate', '-once', database, url);
  expect(code, stderr).toBe(0);
}

async function restored(name: string, ...flags: string[]): Promise<{ log: RecordedCommit[]; said: string }> {
  const { code, stderr } = await run('restore', ...flags, '-o', directory.at(name), url);
  expect(code, stderr).toBe(0);
  return { log: await readRecordedLog(directory.at(name)), said: stderr };
}

async function refused(exitCode: number, ...flags: string[]): Promise<string> {
  const { code, stderr } = await run('restore', ...flags, '-o', directory.at('refused'), url);
  expect(code, stderr).toBe(exitCode);
  expect(await readdir(directory.path)).not.toContain('refused');
  return stderr;
}

/** 60 commits of one transaction in two segments, then 10 of four each. */
async function makeDatabase(): Promise<ModelDatabase> {
  const database = new ModelDatabase(directory.at('database'));
  await database.append(40);
  await database.append(20, { rotate: true });
  await database.append(10, { count: 4 });
  return database;
}

const iso = (micros: bigint): string => {
  const whole = new Date(Number(micros / 1000n)).toISOString().slice(0, 19);
  return `${whole}.${(micros % 1_000_000n).toString().padStart(6, '0')}Z`;
};

describe('a point', () => {
  test('by transaction and by time, told with the commits on both sides of it', async () => {
    const database = await makeDatabase();
    await replicate(database.directory);
    const log = await database.log();
    const at = (tx: bigint): RecordedCommit => log.find(({ last }) => last === tx) as RecordedCommit;
    expect(commitNames((await restored('by-tx', '-tx', '41')).log)).toEqual(commitNames(log.slice(0, 42)));
    const time = iso(at(30n).time + 1n);
    const byTime = await restored('by-time', '-timestamp', time);
    expect(commitNames(byTime.log)).toEqual(commitNames(log.slice(0, 31)));
    for (const words of [time, iso(at(30n).time), iso(at(31n).time)]) expect(byTime.said).toContain(words);

    const planned = await run('restore', '-dry-run', '-json', '-timestamp', time, '-o', directory.at('none'), url);
    expect(planned.code, planned.stderr).toBe(0);
    expect(JSON.parse(planned.stdout)).toMatchObject({
      outcome: 'planned',
      tx: '30',
      point: { timestamp: time, commit: { last: '30' }, next: { first: '31', time: iso(at(31n).time) } },
      plan: { levels: [{ level: 0 }], assumedBytesPerSecond: 100_000_000 },
    });
    expect(await readdir(directory.path)).not.toContain('none');
    const told = await run('restore', '-dry-run', '-tx', '63', '-o', directory.at('none'), url);
    expect(told.stdout).toMatch(
      /level 0 +\d+ object.*\n(.*\n)*.*to write.*\n +time +less than a second, at an assumed/,
    );
  });

  test('that there is not: the nearest are named', async () => {
    const database = await makeDatabase();
    await replicate(database.directory);
    expect(await refused(15, '-tx', '70')).toMatch(/68 to 71[^]*-tx 67 or -tx 71/);
    expect(await refused(15, '-tx', '100')).toMatch(/beyond[^]*transaction 99/);
    expect(await refused(15, '-timestamp', '2001-01-01T00:00:00Z')).toContain('-tx 1');
    expect(await refused(15, '-before-reducer', 'never_called')).toContain('never_called');
  });

  test('that is asked for wrongly is a mistake of usage', async () => {
    await replicate((await makeDatabase()).directory);
    expect(await refused(2, '-tx', '3', '-timestamp', '5m ago')).toContain('-tx and -timestamp');
    expect(await refused(2, '-timestamp', '2026-11-21 07:40')).toContain('zone');
    expect(await refused(2, '-tx', '-1')).toContain('transaction offset');
    expect(await refused(2, '-tx', '3', '-generation', '9')).toContain('no generation 9');
  });
});

test('the server goes on from an earlier point: the new line is the default, the old one is still there', async () => {
  const database = await makeDatabase();
  await replicate(database.directory);
  const old = await database.log();
  // The object that holds the branch point goes on behind it.
  await restored('again', '-tx', '47');
  const again = new ModelDatabase(directory.at('again'), { seed: 2 });
  await again.append(9);
  await again.append(4, { rotate: true, count: 3 });
  await replicate(again.directory);
  const fresh = await again.log();
  expect(commitNames(fresh.slice(0, 48))).toEqual(commitNames(old.slice(0, 48)));
  expect(fresh.at(48)?.crc).not.toBe(old.at(48)?.crc);

  expect(commitNames((await restored('default')).log)).toEqual(commitNames(fresh));
  expect(commitNames((await restored('new-50', '-tx', '50')).log)).toEqual(commitNames(fresh.slice(0, 51)));
  expect(commitNames((await restored('new-20', '-tx', '20')).log)).toEqual(commitNames(fresh.slice(0, 21)));
  expect(commitNames((await restored('old', '-generation', '1')).log)).toEqual(commitNames(old));
  const oldPoint = await restored('old-50', '-generation', '1', '-tx', '50');
  expect(commitNames(oldPoint.log)).toEqual(commitNames(old.slice(0, 51)));
  const { stderr } = await run('restore', '-dry-run', '-tx', '60', '-o', directory.at('none'), url);
  expect(stderr).toContain('60 to 62');
});

test('the commit before the newest call of a reducer, also where that lies in the generation before', async () => {
  const database = await makeDatabase();
  await database.append(1, { reducer: 'reset_world' });
  await database.append(7);
  await replicate(database.directory);
  await database.append(1, { reducer: 'drop_tables' });
  await database.append(5, { rotate: true });
  await replicate(database.directory);
  const old = await database.log();
  const before = (name: string, ...flags: string[]) => restored(name, '-before-reducer', ...flags);
  expect(commitNames((await before('once', 'drop_tables')).log)).toEqual(
    commitNames(old.filter(({ last }) => last < 108n)),
  );

  // Branches off behind `reset_world` and before `drop_tables`, and calls neither.
  const again = await restored('again', '-tx', '104');
  expect(again.log.at(-1)?.last).toBe(104n);
  const branch = new ModelDatabase(directory.at('again'), { seed: 3 });
  await branch.append(30, { rotate: true });
  await replicate(branch.directory);
  const { log, said } = await before('parent', 'reset_world');
  expect(commitNames(log)).toEqual(commitNames(old.filter(({ last }) => last < 100n)));
  expect(said).toContain('reset_world');
  // What was called only on the line that was left is no call on this one.
  expect(await refused(15, '-before-reducer', 'drop_tables')).toContain('drop_tables');
  const left = await before('left', 'drop_tables', '-generation', '1');
  expect(left.log.at(-1)?.last).toBe(107n);
});
