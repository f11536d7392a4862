/**
 * Invariants, by the built program: `verify` ends with 0 for a whole backup and with 14, naming object and effect, for a
 * damaged one; a drill proves what it says, leaves nothing behind however it ends, and its exit code is that of what
 * failed; scheduled drills are told of by metrics and health, and never make a service unready.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { databaseBesideStore, runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { getText, metric } from '../support/http-status.ts';
import { startProgram } from '../support/program.ts';
import { copyVector } from '../vectors/vectors.ts';

const DRILL_METRICS = [
  'drill_last_success_timestamp_seconds',
  'drill_duration_seconds',
  'drill_tx_offset',
  'drill_point_timestamp_seconds',
  'drills_total',
  'drill_failures_total',
];

async function stored() {
  const place = await databaseBesideStore();
  await runWell(['replicate', '-once', place.database, place.url]);
  const scratch = place.at('scratch');
  await mkdir(scratch);
  return { place, scratch };
}

async function logObjects(store: string): Promise<string[]> {
  const all = await readdir(store, { recursive: true });
  return all.filter((name) => name.includes('/log/') && name.endsWith('.zst')).map((name) => join(store, name));
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  const at = Math.floor(bytes.byteLength / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

test('verify: whole, then damaged', async () => {
  const { place, scratch } = await stored();
  await using _ = place;
  for (const how of [[], ['-deep'], ['-sample', '5%']]) {
    expect((await runWell(['verify', ...how, place.url])).stdout).toContain('no damage was found');
  }
  const [object = ''] = await logObjects(place.store);
  await flip(object);
  await runWell(['verify', place.url]);
  const { stdout } = await runBadly(['verify', '-deep', '-json', place.url], { code: 14, says: [] });
  const document = JSON.parse(stdout) as {
    destinations: { damaged: boolean; findings: { key: string; effect: string }[] }[];
  };
  expect(document.destinations[0]).toMatchObject({ damaged: true });
  const [finding] = document.destinations[0]?.findings ?? [];
  expect(object.endsWith(finding?.key ?? '-')).toBe(true);
  expect(finding?.effect).toMatch(/impossible; all other points are fine/);
  await runBadly(['verify', `file://${scratch}`], { code: 10, says: [/there is no backup/] });
  await runBadly(['verify', '-deep', '-sample', '5%', place.url], { code: 2, says: [] });
});

test('drill: proven, by chance, with a command, and nothing is left', async () => {
  const { place, scratch } = await stored();
  await using _ = place;
  const { stdout } = await runWell(['drill', '-scratch', scratch, '-json', '-progress', 'none', place.url]);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'proven', databases: [{ tx: '299' }] });
  const seeded = ['drill', '-random', '-seed', '7', '-scratch', scratch, '-json', '-progress', 'none', place.url];
  const points = await Promise.all([runWell(seeded), runWell(seeded)]);
  const txs = points.map((one) => (JSON.parse(one.stdout) as { databases: { tx: string }[] }).databases[0]?.tx);
  expect(txs[0]).toBe(txs[1]);
  expect(Number(txs[0])).toBeLessThan(299);

  const seen = place.at('seen');
  const look = `ls "$STDB_DRILL_DIR" > ${seen}; echo "$STDB_DRILL_TX" >> ${seen}`;
  await runWell(['drill', '-scratch', scratch, '-exec', look, place.url]);
  expect((await readFile(seen, 'utf8')).trim().split('\n')).toEqual(['clog', 'snapshots', '299']);
  await runBadly(['drill', '-scratch', scratch, '-exec', 'exit 3', place.url], { code: 1, says: [] });
  await runBadly(['drill', '-scratch', scratch, '-exec', 'sleep 60', '-exec-timeout', '100ms', place.url], {
    code: 1,
    says: [],
  });
  expect(await readdir(scratch)).toEqual([]);

  for (const object of await logObjects(place.store)) await flip(object);
  await runBadly(['drill', '-scratch', scratch, place.url], { code: 14, says: [] });
  expect(await readdir(scratch)).toEqual([]);
});

test('drill: a whole server at a moment by chance', async () => {
  await using place = await databaseBesideStore(null);
  copyVector('server-2.8', place.at('server'));
  await runWell(['replicate', '-once', place.at('server'), place.url]);
  const { stdout } = await runWell(['drill', '-random', '-seed', '1', '-json', '-progress', 'none', place.url]);
  const { outcome, kind, moment, imageTime } = JSON.parse(stdout) as Record<string, string>;
  expect({ outcome, kind }).toEqual({ outcome: 'proven', kind: 'server' });
  expect(Date.parse(moment ?? '')).toBeGreaterThanOrEqual(Date.parse(imageTime ?? ''));
});

test('drill: a signal ends it and its command, and nothing is left; what a kill leaves, the next one removes', async () => {
  const { place, scratch } = await stored();
  await using _ = place;
  const started = place.at('started');
  const drill = ['drill', '-scratch', scratch, '-exec', `echo $$ > ${started}; sleep 45`, place.url];
  const pidOf = async (): Promise<string> => (await readFile(started, 'utf8').catch(() => '')).trim();
  {
    await using program = startProgram(drill);
    await program.until(async () => (await pidOf()) !== '', 'the command to run');
    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(143);
    expect(await readdir(scratch)).toEqual([]);
    await expect(readFile(`/proc/${await pidOf()}/stat`)).rejects.toThrow();
  }
  await writeFile(started, '');
  {
    await using program = startProgram(drill);
    await program.until(async () => (await pidOf()) !== '', 'the command to run');
    program.kill('SIGKILL');
    // The command outlives it, and holds its stderr open.
    process.kill(-Number(await pidOf()), 'SIGKILL');
    await program.ended();
  }
  expect(await readdir(scratch)).toHaveLength(1);
  await runWell(['drill', '-scratch', scratch, place.url]);
  expect(await readdir(scratch)).toEqual([]);
});

test('scheduled drills: metrics and health, and a damaged store is degraded, not unready; the next success ends it', async () => {
  const { place, scratch } = await stored();
  await using _ = place;
  const addr = `127.0.0.1:${await freePort()}`;
  const more = [`addr: ${addr}`, `drill: {every: 1s, scratch: "${scratch}", exec: 'test -d "$STDB_DRILL_DIR/clog"'}`];
  const config = await writeConfig(place.at('c.yml'), { ...place, more });
  await using program = startProgram(['replicate', '-config', config]);
  await program.says(/a drill has proven/);
  expect(await metric(addr, 'drill_tx_offset')).toBe(299);
  expect(await metric(addr, 'drill_failures_total')).toBe(0);
  expect(await metric(addr, 'drill_last_success_timestamp_seconds')).toBeGreaterThan(1.7e9);
  const health = async () => {
    const { status, text } = await getText(addr, '/readyz');
    return { status, ...(JSON.parse(text) as { health: string; drills: { health: string; reason: string | null }[] }) };
  };
  expect(await health()).toMatchObject({ status: 200, health: 'ok', drills: [{ health: 'ok' }] });

  for (const object of await logObjects(place.store)) await flip(object);
  await program.says(/a drill failed/);
  expect(await health()).toMatchObject({ status: 200, health: 'degraded', drills: [{ health: 'degraded' }] });
  expect(await metric(addr, 'drill_failures_total')).toBeGreaterThan(0);

  for (const object of await logObjects(place.store)) await flip(object);
  const failures = (await metric(addr, 'drill_failures_total')) ?? 0;
  await program.until(async () => (await health()).health === 'ok', 'the next drill to succeed');
  expect(await metric(addr, 'drill_failures_total')).toBeGreaterThanOrEqual(failures);
  expect(await health()).toMatchObject({ status: 200, health: 'ok', drills: [{ health: 'ok', reason: null }] });
  const { text } = await getText(addr, '/metrics');
  for (const name of DRILL_METRICS) expect(text).toMatch(new RegExp(`^stdb_replicate_${name}\\{[^}]*\\} \\d`, 'm'));
  program.kill('SIGTERM');
  expect((await program.ended()).code).toBe(0);
  expect(await readdir(scratch)).toEqual([]);
});
