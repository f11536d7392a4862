/** Invariant: at whatever moment a standby is killed or ended, the engine opens its directory, with the source's content. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { testNeeding } from '../support/named-skip.ts';
import { startProgram } from '../support/program.ts';
import { Generator, judge, oracleMissing } from './oracle.ts';

const needsOracle = testNeeding({ missing: oracleMissing, requiredBy: 'STDB_TEST_REQUIRE_ORACLE' });

/** More for a long hunt. */
const KILLS = Number(process.env['STDB_TEST_STANDBY_KILLS'] ?? '5');

needsOracle(
  'a live database with rotations and snapshots, followed, killed and ended at random moments',
  async () => {
    await using place = await databaseBesideStore(null);
    const options = ['--seed', '11', '--rate', '250', '--segment-size', '150000', '--profile', 'small'];
    await using generator = new Generator(place.database, options);
    await delay(700);
    await runWell(['replicate', '-once', place.database, place.url]);
    await using writer = startProgram(['replicate', place.database, place.url], { timeoutMs: 20_000 + KILLS * 4_000 });
    const args = ['restore', '-follow', '-interval', '100ms', '-o', place.restored, place.url];
    const seen: { durable: number; content: string }[] = [];
    for (let count = 0; count < KILLS; count += 1) {
      const standby = startProgram(args);
      // A start takes about half a second.
      if (count === 0) await standby.says(/standing by/);
      await delay(400 + Math.random() * 1_200);
      standby.kill(count % 3 === 2 ? 'SIGTERM' : 'SIGKILL');
      const { code, stderr } = await standby.ended();
      if (code !== null) expect([0, 143], stderr).toContain(code);
      const [withIndex, without] = [await judge(place.restored), await judge(place.restored, { ignoreIndex: true })];
      expect(withIndex, JSON.stringify(withIndex)).toMatchObject({ ok: true });
      expect(without.content_hash).toBe(withIndex.content_hash);
      expect(withIndex.durable).toBeGreaterThanOrEqual(seen.at(-1)?.durable ?? 0);
      seen.push({ durable: withIndex.durable, content: withIndex.content_hash });
    }
    const { durable, content_hash: content } = await generator.stop();
    writer.kill('SIGTERM');
    expect(await writer.ended()).toMatchObject({ code: 0 });
    const last = startProgram(args);
    await last.says(new RegExp(`up to date.*`));
    last.kill('SIGTERM');
    expect(await last.ended()).toMatchObject({ code: 0 });
    expect(await judge(place.restored)).toMatchObject({ ok: true, durable, content_hash: content });
    for (const one of seen) {
      const source = await judge(place.database, { until: one.durable });
      expect(source, JSON.stringify(one)).toMatchObject({ ok: true, content_hash: one.content });
    }
  },
  60_000 + KILLS * 10_000,
);
