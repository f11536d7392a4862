/**
 * Invariant, against a real S3 server over a bad line: a standby follows what a writer stores at the same time, is killed
 * at any moment and goes on, and costs one small request in each interval while nothing comes.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { type RunningProgram, startProgram } from '../support/program.ts';
import { lastTxOf, readDatabase } from '../support/recorded-database.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const s3 = await faultyS3();

async function lastThere(directory: string): Promise<bigint | null> {
  const names = await readdir(join(directory, 'clog')).catch(() => []);
  return names.some((name) => name.endsWith('.log')) ? lastTxOf(await readDatabase(directory)) : null;
}

async function endWell(program: RunningProgram): Promise<void> {
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
}

s3.test('killed at any moment while a writer writes, both over a bad line', async () => {
  await using place = await databaseBesideStore(null);
  await using store = await s3.open();
  const { url, env } = store;
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  while (growing.lastTx < 40n) await growing.writeCommit();
  await runWell(['replicate', '-once', place.database, url], { env });
  await using writer = startProgram(['replicate', place.database, url], { env });
  const follow = (): RunningProgram =>
    startProgram(['restore', '-follow', '-interval', '50ms', '-o', place.restored, url], { env });
  let standby = follow();
  try {
    const kills = new Set([90n, 149n, 220n]);
    while (!growing.isComplete) {
      await growing.writeCommit();
      await delay(8);
      if (!kills.has(growing.lastTx)) continue;
      // Sometimes in the midst of its start, of an object, of its rest.
      await delay(Number(growing.lastTx * 11n) % 1200);
      standby.kill('SIGKILL');
      await standby.ended();
      standby = follow();
    }
    await standby.until(async () => (await lastThere(place.restored)) === growing.lastTx, 'the end');
    await endWell(standby);
  } finally {
    await standby[Symbol.asyncDispose]();
  }
  await endWell(writer);
  expect(store.proxy.faults).toBeGreaterThan(0);
  const [wanted, own] = [await readDatabase(place.database), await readDatabase(place.restored)];
  const bytesOf = new Map(wanted.segments.map(({ name, bytes }) => [name, bytes]));
  for (const { name, bytes } of own.segments) expect(bytesOf.get(name)?.equals(bytes), name).toBe(true);
  expect(own.segments.at(-1)?.name).toBe(wanted.segments.findLast(({ commits }) => commits.length > 0)?.name);
});

s3.test('while nothing comes: one page of a listing, behind its own position, and nothing else', async () => {
  await using place = await databaseBesideStore();
  const lines: string[] = [];
  await using store = await s3.open({
    mode: { kind: 'faults', fateOf: (line) => (lines.push(line.trim()), { kind: 'pass' }) },
  });
  const { url, env } = store;
  await runWell(['replicate', '-once', place.database, url], { env });
  await using standby = startProgram(['restore', '-follow', '-interval', '100ms', '-o', place.restored, url], { env });
  await standby.says(/up to date/);
  const [begun, since] = [lines.length, performance.now()];
  await standby.until(() => lines.length >= begun + 12, 'twelve requests');
  const asked = lines.slice(begun);
  // Never more than one in an interval, however slow this machine is.
  expect(asked.length).toBeLessThanOrEqual((performance.now() - since) / 100 + 2);
  for (const line of asked) {
    expect(line).toMatch(/^GET \/[^/?]+\/?\?.*list-type=2/);
    expect(decodeURIComponent(line)).toMatch(/start-after=some\/prefix\/generations\/[^&]*log\/0\//);
  }
  await endWell(standby);
});
