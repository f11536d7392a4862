/**
 * Invariants: a clock that is set back and forth changes nothing of what is stored, of the lag or of the lease: names
 * hold the server's times alone. A process that was suspended for longer than its lease lasts, while another one took
 * over, ends as a replaced one when it wakes, and what it still writes is part of no restore.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ReplicatorScene } from '../support/replicator-scene.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { databaseBesideStore, runWell, writeConfig } from '../support/database-beside-store.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { jumpingClock } from '../support/jumping-clock.ts';
import { type RunningProgram, startProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const HOUR_MS = 3_600_000;
const FENCED = 13;

describe('a clock that jumps by an hour, back and forth', () => {
  const seeded = (): (() => number) => {
    let state = 42;
    return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  };

  /** All that the names of log objects say, but for the generation's random part. */
  async function namesOf(scene: ReplicatorScene): Promise<string[]> {
    const objects = await scene.logObjects();
    return objects.map(({ segment, first, last, time, prev, crc }) =>
      [segment, first, last, time, prev, crc].join(' '),
    );
  }

  test('one pass stores what it would have stored', async () => {
    await using steady = await ReplicatorScene.open();
    await steady.runOnce();
    await using jumping = await ReplicatorScene.open();
    await jumping.runOnce({ clock: jumpingClock({ random: seeded(), jumpMs: HOUR_MS }) });
    expect(await namesOf(jumping)).toEqual(await namesOf(steady));
    expect((await jumping.manifests()).length).toBe((await steady.manifests()).length);
  });

  test('a service keeps its lease, its lag and its generation', async () => {
    await using scene = await ReplicatorScene.open();
    const clock = jumpingClock({ random: seeded(), jumpMs: HOUR_MS });
    // A short lease: renewed again and again, by times that go back.
    const writer = await scene.replicator({ clock, once: false, leaseTtlMs: 20, intervalMs: 5 });
    const ended = writer.run(new AbortController().signal);
    const lags: number[] = [];
    for (let looks = 0; looks < 50; looks += 1) {
      lags.push(writer.status().lagSeconds);
      await delay(10);
    }
    writer.drain();
    await ended;
    expect(writer.status().stored?.tx).toBe(299n);
    expect(Math.min(...lags)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...lags)).toBeLessThan(600);
    const before = await scene.head();
    expect(before.released).toBe(true);
    await scene.runOnce({ clock });
    expect((await scene.head()).generation).toBe(before.generation);
    expect((await scene.head()).position).toEqual(before.position);
  });
});

/** Transactions of log objects of which a program said that they are stored, and in which generation. */
function storedBy({ stderr }: RunningProgram): { generation: string; last: bigint }[] {
  return [...stderr.matchAll(/"key":"generations\/([^/]+)\/log\/[^"]*-(\d{20})\.[^"]*"[^\n]*"msg":"stored"/g)].map(
    ([, generation, last]) => ({ generation: generation ?? '', last: BigInt(last ?? 0) }),
  );
}

test('a process that is suspended for longer than its lease, while another one takes over', async () => {
  await using place = await databaseBesideStore(null);
  const recorded = await readDatabase(vectorDirectory('v2-small'));
  const growing = new GrowingDatabase(place.database, recorded);
  await growing.create();
  const writeUpTo = async (tx: bigint): Promise<void> => {
    while (growing.lastTx < tx) await growing.writeCommit();
  };
  await writeUpTo(60n);
  const more = ['owner: game-0', 'lease-ttl: 5s', 'levels:', '  - interval: 100ms'];
  const config = await writeConfig(place.at('c.yml'), { ...place, more });
  const args = ['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config];
  await using first = startProgram(args);
  await first.until(() => storedBy(first).some(({ last }) => last >= 60n), 'the first one to store');
  first.kill('SIGSTOP');
  await writeUpTo(120n);
  // It lives as far as anybody can prove: the second one waits for a whole lease by its own clock.
  await using second = startProgram(args);
  await second.until(() => storedBy(second).some(({ last }) => last >= 120n), 'the second one to store');

  first.kill('SIGCONT');
  await writeUpTo(180n);
  const { code, stderr } = await first.ended();
  expect(code, stderr).toBe(FENCED);
  expect(stderr).toMatch(/another writer has taken over/);

  await growing.finish();
  await second.until(() => storedBy(second).some(({ last }) => last >= growing.lastTx), 'the second one to store all');
  second.kill('SIGTERM');
  expect((await second.ended()).code).toBe(0);
  const own = (program: RunningProgram): string[] => [
    ...new Set(storedBy(program).map(({ generation }) => generation)),
  ];
  expect(own(first)).toHaveLength(1);
  expect(own(second)).toHaveLength(1);
  expect(own(second)).not.toEqual(own(first));
  const { stderr: said } = await runWell(['restore', '-o', place.restored, place.url]);
  expect(said).not.toMatch(/corrupt/i);
  expect((await compareRestored({ ...recorded, snapshots: [] }, place.restored)).differences).toEqual([]);
});
