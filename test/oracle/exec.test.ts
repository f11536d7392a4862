/**
 * Invariant: a real engine run by `-exec` and told to end through us leaves nothing behind that is not stored; lost and
 * restored before its next start it goes on from its last transaction, in one history.
 */
import { rm } from 'node:fs/promises';
import { expect } from 'vitest';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { testNeeding } from '../support/named-skip.ts';
import { type ProgramResult, startProgram } from '../support/program.ts';
import { judge, oracleMissing } from './oracle.ts';

const ORACLE = process.env['STDB_TEST_ORACLE'] ?? '';
const GENERATE = '--seed 11 --rate 400 --segment-size 65536 --snapshot-every 300 --compress --ignore-stdin';

testNeeding({ missing: oracleMissing })(
  'the engine as our child: ended, lost, restored, going on, ended: all of it is restored',
  async () => {
    await using place = await databaseBesideStore(null);
    const { database, url } = place;
    const cmd = `'${ORACLE}' gen --dir '${database}' ${GENERATE}`;
    const args = ['replicate', '-restore-if-db-not-exists', '-exec', cmd, database, url];
    const lives = async (signal: NodeJS.Signals): Promise<ProgramResult> => {
      await using program = startProgram(args);
      const count = (what: string): number => program.stdout.split(`"event":"${what}"`).length - 1;
      await program.until(() => count('segment') >= 2 && count('snapshot') >= 1, 'segments and a snapshot');
      program.kill(signal);
      const ended = await program.ended();
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stderr).toMatch(/all that the server wrote is stored/);
      return ended;
    };

    await lives('SIGTERM');
    const first = await judge(database);
    await rm(database, { recursive: true });
    const { stderr } = await lives('SIGINT');
    expect(stderr).toMatch(/was restored/);
    const second = await judge(database);
    expect(second.durable).toBeGreaterThan(first.durable);

    await runWell(['restore', '-o', place.restored, url]);
    const restored = await judge(place.restored);
    expect(restored).toMatchObject({ ok: true, durable: second.durable, content_hash: second.content_hash });
    // What was there before the loss is part of the same history.
    expect(await judge(database, { until: first.durable })).toMatchObject({
      ok: true,
      content_hash: first.content_hash,
    });
  },
  120_000,
);
