/**
 * Invariant: of every real directory, intact or damaged, one pass stores exactly what `data-sets.ts` says, and a restore
 * gives it back byte for byte; that is never less than what the engine keeps of the directory, and the source is as it was.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { copyDataSet, DATA_SETS, type DataSet, dueOf, keptByEngine } from '../support/data-sets.ts';
import { runBadly, runWell } from '../support/database-beside-store.ts';
import { runProgram } from '../support/program.ts';
import { lastTxOf, readDatabase } from '../support/recorded-database.ts';
import { listKeys } from '../support/stored-log.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { readExpectation } from '../vectors/vectors.ts';

const describeSet = ({ name, difference }: DataSet): string =>
  difference === null ? `${name}: as the engine sees it` : `${name}: ${difference}`;

async function backUpAndRestore(set: DataSet): Promise<void> {
  await using place = await temporaryDirectory();
  const source = copyDataSet(set, place.at('source'));
  await mkdir(place.at('store'));
  const url = `file://${place.at('store')}`;
  const before = await treeFacts(source);
  const { code, stderr } = await runProgram(['replicate', '-once', source, url]);
  expect(code, stderr).toBe(set.code);
  expect(stderr).toMatch(set.says ?? /^/);
  if (set.code === 0 && set.says === undefined) expect(stderr).not.toMatch(/"level":"(warn|error)"/);
  expect(await treeFacts(source)).toEqual(before);
  if (set.lines.length === 0) {
    expect(await listKeys(place.at('store'))).toEqual([]);
    await runBadly(['restore', '-o', place.at('restored'), url], { code: 10, says: [/no backup/i] });
    return;
  }
  const recorded = await readDatabase(source);
  for (const line of set.lines) {
    const target = place.at(`restored-${line.generation ?? 'default'}`);
    const which = line.generation === null ? [] : ['-generation', line.generation];
    await runWell(['restore', ...which, '-o', target, url]);
    const due = dueOf(recorded, line);
    expect((await compareRestored(due, target)).differences).toEqual([]);
    expect(lastTxOf(due)).toBe(line.last);
    expect(await readdir(`${target}/snapshots`)).toEqual([
      `${line.snapshot.toString().padStart(20, '0')}.snapshot_dir`,
    ]);
  }
  expect(await treeFacts(source)).toEqual(before);
}

describe('one pass over', () => {
  test.each(DATA_SETS.map((set) => [describeSet(set), set] as const))('%s', (_, set) => backUpAndRestore(set));
});

test('no set gives less than the engine keeps of it', () => {
  const compared = DATA_SETS.flatMap((set) => {
    const kept = keptByEngine(set);
    if (kept === null) return [];
    expect(Number(set.lines.find(({ generation }) => generation === null)?.last), set.name).toBeGreaterThanOrEqual(
      kept,
    );
    return [set.name];
  });
  expect(compared.length).toBeGreaterThan(15);
});

test('where nothing differs, the position is the one that the set names', () => {
  const compared = DATA_SETS.filter(({ difference, vector }) => difference === null && vector !== null);
  for (const { vector, lines } of compared) {
    if (vector !== null) expect(Number(lines[0]?.last), vector).toBe(readExpectation(vector).log_summary.last);
  }
  expect(compared.length).toBeGreaterThan(12);
});
