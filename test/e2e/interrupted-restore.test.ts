/**
 * Invariant: a restore that is killed, or told to stop, again and again gets further each time, and ends with exactly what
 * was stored. One that is told to stop says what it leaves.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { LongLog } from '../support/long-log.ts';
import { startProgram } from '../support/program.ts';

const MIB = 1024 * 1024;
/** Much is left after the last kill, so that none comes too late. */
const LOG_MIB = 160;
/** How much lies in the staging directory when the signal comes, and the exit code. */
const STOPS = [
  { bytes: 20 * MIB, signal: 'SIGKILL', code: null },
  { bytes: 45 * MIB, signal: 'SIGINT', code: 130 },
  { bytes: 70 * MIB, signal: 'SIGTERM', code: 143 },
] as const;

async function stagedBytes(parent: string): Promise<number> {
  const names = (await readdir(parent, { recursive: true })).filter((name) => name.includes('.stdb-restore-'));
  const sizes = names.map(async (name) => (await stat(join(parent, name)).catch(() => ({ size: 0 }))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

test('a signal at any depth of one long segment', { timeout: 120_000 }, async () => {
  await using place = await databaseBesideStore(null);
  const log = await LongLog.create(place.database);
  await log.append(LOG_MIB * 4, { bytes: 256 * 1024 });
  await runWell(['replicate', '-once', place.database, place.url]);

  const restore = ['restore', '-json', '-o', place.restored, place.url];
  for (const { bytes, signal, code } of STOPS) {
    await using running = startProgram(restore);
    await running.until(async () => (await stagedBytes(place.path)) >= bytes, `${bytes} bytes`);
    running.kill(signal);
    const ended = await running.ended();
    expect(ended).toMatchObject(code === null ? { signal } : { code });
    if (code === null) continue;
    expect(ended.stderr).toMatch(
      /kept: .* MiB that were restored so far[^]*same command again[^]*rm -r '.*stdb-restore-/,
    );
    expect(await stagedBytes(place.path)).toBeGreaterThanOrEqual(bytes);
  }
  const { stdout } = await runWell(restore);
  const { plainBytes, reusedBytes, fetchedBytes } = JSON.parse(stdout) as Record<string, number>;
  // Objects hold 32 MiB: at 70 MiB two of them are whole.
  expect(reusedBytes).toBeGreaterThanOrEqual(2 * 31 * MIB);
  expect((reusedBytes ?? 0) + (fetchedBytes ?? 0)).toBeLessThan((plainBytes ?? 0) * 1.01);
  expect(await log.equals(place.restored)).toBe(true);
  expect((await readdir(place.path)).toSorted()).toEqual(['database', 'restored', 'store']);
});
