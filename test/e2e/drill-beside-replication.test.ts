/**
 * Invariant: drills that run all the time disturb no replication: as many objects are stored of the same steady load as
 * without them, and no more commits wait at any moment, but for a small share.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { metric } from '../support/http-status.ts';
import { LongLog } from '../support/long-log.ts';
import { startProgram } from '../support/program.ts';

const MIB = 1024 * 1024;
/** What each drill restores, reads back and removes. */
const LOG_MIB = 48;
const COMMITS = 80;
const EVERY_MS = 50;

/** The last transaction and the number of a file store's log objects of level 0. */
async function storedLog(store: string): Promise<{ last: number; objects: number }> {
  const names = (await readdir(store, { recursive: true })).filter((name) => /\/log\/0\/.*\.zst$/.test(name));
  const lasts = names.map((name) => Number(/-(\d{20})\.[^/]*$/.exec(name)?.[1] ?? -1));
  return { last: Math.max(-1, ...lasts), objects: names.length };
}

interface Measured {
  readonly objects: number;
  /** Commits that were not stored yet: the most at any moment, once it flowed. */
  readonly waiting: number;
  readonly drills: number;
}

async function measure({ isDrilling }: { readonly isDrilling: boolean }): Promise<Measured> {
  await using place = await databaseBesideStore(null);
  const log = await LongLog.create(place.database);
  await log.append(LOG_MIB * 4, { bytes: MIB / 4 });
  await runWell(['replicate', '-once', place.database, place.url]);
  await mkdir(place.at('scratch'));
  const addr = `127.0.0.1:${await freePort()}`;
  const drill = isDrilling ? [`drill: {every: 1s, scratch: "${place.at('scratch')}"}`] : [];
  const lines = [
    `addr: ${addr}`,
    ...drill,
    'dbs:',
    `  - path: ${place.database}`,
    '    replica:',
    `      url: ${place.url}`,
  ];
  const config = place.at('config.yml');
  await writeFile(config, `${lines.join('\n')}\n`);
  await using program = startProgram(['replicate', '-config', config]);
  await log.append(1, { bytes: 2000 });
  const begun = async (): Promise<boolean> => (await storedLog(place.store)).last === Number(log.lastTx);
  await program.until(begun, 'replication to begin');
  if (isDrilling) await program.says(/a drill has proven/);
  const before = await storedLog(place.store);
  let waiting = 0;
  for (let count = 0; count < COMMITS; count += 1) {
    await log.append(1, { bytes: 2000 });
    await delay(EVERY_MS);
    waiting = Math.max(waiting, Number(log.lastTx) - (await storedLog(place.store)).last);
  }
  const after = await storedLog(place.store);
  if (isDrilling) await program.until(async () => ((await metric(addr, 'drills_total')) ?? 0) >= 2, 'another drill');
  const drills = isDrilling ? ((await metric(addr, 'drills_total')) ?? 0) : 0;
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
  expect(await readdir(place.at('scratch'))).toEqual([]);
  return { objects: after.objects - before.objects, waiting, drills };
}

test('a steady load is stored as steadily', { timeout: 180_000 }, async () => {
  const alone = await measure({ isDrilling: false });
  const beside = await measure({ isDrilling: true });
  expect(beside.drills).toBeGreaterThanOrEqual(2);
  expect(alone.objects).toBeGreaterThan(1);
  // A pause of one interval, once, is the share that a busy machine may add.
  expect(beside.objects, JSON.stringify({ alone, beside })).toBeGreaterThanOrEqual(Math.floor(alone.objects * 0.6));
  expect(beside.waiting, JSON.stringify({ alone, beside })).toBeLessThanOrEqual(2 * alone.waiting + 1000 / EVERY_MS);
});
