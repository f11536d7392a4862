/**
 * Invariant: what is restored from the backup of a damaged directory opens in SpacetimeDB's own engine, with exactly the
 * content that the undamaged database had at the transaction where it ends; also where the engine refuses the source.
 */
import { mkdir } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { copyDataSet, DATA_SETS, type DataSet, type DueLine } from '../support/data-sets.ts';
import { runWell } from '../support/database-beside-store.ts';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { readExpectation, vectorDirectory } from '../vectors/vectors.ts';
import { judge, oracleMissing, type Verdict } from './oracle.ts';

const DAMAGED = DATA_SETS.filter(({ name, lines }) => name.startsWith('v2-damaged/') && lines.length > 0);

/** What the engine said of it when the set was made, or says now of the undamaged database at that transaction. */
async function expected({ vector }: DataSet, { like }: DueLine): Promise<Verdict> {
  if (like?.until !== undefined) return await judge(vectorDirectory(like.set), { until: like.until });
  const { check, check_ignore_index: withoutIndex } = readExpectation(
    like?.set ?? vector ?? 'v1.2',
  ) as unknown as Record<'check' | 'check_ignore_index', Verdict>;
  return check.ok ? check : withoutIndex;
}

const maybe = testNeeding({ missing: oracleMissing });

describe('the engine opens what is restored from', () => {
  for (const set of DAMAGED) {
    maybe(set.difference === null ? set.name : `${set.name}: ${set.difference}`, async () => {
      await using place = await temporaryDirectory();
      const source = copyDataSet(set, place.at('source'));
      await mkdir(place.at('store'));
      const url = `file://${place.at('store')}`;
      const { code, stderr } = await runProgram(['replicate', '-once', source, url]);
      expect(code, stderr).toBe(set.code);
      for (const line of set.lines) {
        const target = place.at(`restored-${line.generation ?? 'default'}`);
        const which = line.generation === null ? [] : ['-generation', line.generation];
        await runWell(['restore', ...which, '-o', target, url]);
        const { identity, user_hash, content_hash } = await expected(set, line);
        const same = { ok: true, durable: Number(line.last), identity, user_hash, content_hash };
        const verdict = await judge(target);
        expect(verdict).toMatchObject({ ...same, snapshot_used: Number(line.snapshot), warnings: [] });
        expect(await judge(target, { ignoreIndex: true })).toMatchObject(same);
        if (verdict.first_segment === 0) expect(await judge(target, { ignoreSnapshots: true })).toMatchObject(same);
      }
    });
  }
});
