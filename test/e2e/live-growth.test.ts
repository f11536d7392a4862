/**
 * Invariant: however the database grows (torn writes, rotation, snapshots, compression in place) and whenever the program
 * is killed, the restored directory equals the source, and nothing that the store had acknowledged is sent again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { GrowingDatabase, readCompressed } from '../support/growing-database.ts';
import { type RunningProgram, startProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { lineOf, listKeys, readHead, readLineSegments, readStored } from '../support/stored-log.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

/** Repeatable: a failing run names its seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('one pass after another', () => {
  test('a second pass sends nothing again', async () => {
    await using place = await databaseBesideStore();
    await runWell(['replicate', '-once', place.database, place.url]);
    const before = await listKeys(place.store);
    await runWell(['replicate', '-once', place.database, place.url]);
    expect(await listKeys(place.store)).toEqual(before);
  });

  test('each pass sends what came since, in the same generation', async () => {
    await using place = await databaseBesideStore(null);
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    for (const until of [0n, 100n, 146n, 147n, 250n, 299n]) {
      while (growing.lastTx < until) await growing.writeCommit();
      if (until === 250n) await growing.takeSnapshot(180n);
      await runWell(['replicate', '-once', place.database, place.url]);
    }
    const stored = await readStored(place.store);
    expect(stored.generations.map(({ reason, objects }) => [reason, objects.length])).toEqual([['first', 6]]);
    expect(lineOf(stored, (await readHead(place.store)).generation).faults).toEqual([]);
    await runWell(['restore', '-o', place.restored, place.url]);
    expect((await compareRestored(recorded, place.restored)).differences).toEqual([]);
  });
});

describe('killed while the database grows', () => {
  test.each([1, 2])('five times at random moments, seed %i', { timeout: 120_000 }, async (seed) => {
    await using place = await databaseBesideStore(null);
    const random = randomFrom(seed);
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    const kills = new Set(Array.from({ length: 5 }, (_, index) => BigInt(20 + index * 55 + Math.floor(random() * 40))));
    const start = (): RunningProgram => startProgram(['replicate', place.database, place.url]);
    let program = start();
    try {
      while (!growing.isComplete) {
        const cuts = Array.from({ length: Math.floor(random() * 3) }, random).toSorted((a, b) => a - b);
        await growing.writeCommit({ cuts, pause: () => delay(random() * 10) });
        if (growing.lastTx === 2n) await growing.takeSnapshot(1n);
        if (growing.lastTx === 190n) await growing.takeSnapshot(180n, { pause: () => delay(random() * 15) });
        if (growing.lastTx === 220n) await compress(growing);
        if (kills.has(growing.lastTx)) {
          // Mostly in the midst of its work, sometimes before it has begun.
          await delay(random() * 1_200);
          program.kill('SIGKILL');
          await program.ended();
          program = start();
        }
        await delay(random() * 20);
      }
      // Before that it does not heed signals.
      await program.says(/"msg":/);
      program.kill('SIGTERM');
      const { code, stderr } = await program.ended();
      expect(code, stderr).toBe(0);
    } finally {
      await program[Symbol.asyncDispose]();
    }

    const stored = await readStored(place.store);
    const line = lineOf(stored, (await readHead(place.store)).generation);
    expect(line.faults).toEqual([]);
    const sent = stored.generations.flatMap(({ objects }) => objects);
    // Only what a killed writer had stored behind a hole, never acknowledged, may be there twice.
    expect(sent.length).toBe(new Set([...line.objects, ...line.beyondParentPoints]).size);
    const unpacked = await readLineSegments(place.store, line);
    for (const { name, bytes } of recorded.segments) {
      expect(unpacked.get(name.slice(0, 20))?.equals(bytes), name).toBe(true);
    }
    await runWell(['restore', '-o', place.restored, place.url]);
    expect((await compareRestored(recorded, place.restored)).differences).toEqual([]);
  });
});

async function compress(growing: GrowingDatabase): Promise<void> {
  const compressed = vectorDirectory('v2-compressed');
  const name = `${'0'.repeat(20)}.stdb.log`;
  await growing.compressSegment(name, await readCompressed(compressed, name));
  await growing.compressSnapshot(1n, join(compressed, 'snapshots', `${'1'.padStart(20, '0')}.snapshot_dir`));
}
