/**
 * Invariant: a standby follows a database that grows, however often it is killed; while it runs no server can open its
 * directory; it never takes on another history, and an outage of the store does not end it.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type DatabaseBesideStore, databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { getText, metric } from '../support/http-status.ts';
import { testNeeding } from '../support/named-skip.ts';
import { type RunningProgram, startProgram } from '../support/program.ts';
import { lastTxOf, readDatabase } from '../support/recorded-database.ts';
import { findOnPath } from '../support/server-process.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const FLOCK = await findOnPath('flock');
const needsFlock = testNeeding({ missing: FLOCK === null ? 'there is no flock(1) on PATH' : null });

const follow = ({ restored, url }: DatabaseBesideStore, ...more: readonly string[]): RunningProgram =>
  startProgram(['restore', '-follow', '-interval', '50ms', ...more, '-o', restored, url]);

async function reaches(program: RunningProgram, directory: string, tx: bigint): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const there = await readdir(join(directory, 'clog')).catch(() => []);
    return there.some((name) => name.endsWith('.log')) && lastTxOf(await readDatabase(directory)) === tx;
  };
  await program.until(isThere, `transaction ${tx}`);
}

async function endWell(program: RunningProgram): Promise<string> {
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
  return stderr;
}

/** What is there of the log is the source's, byte for byte. */
async function expectLog(source: string, directory: string): Promise<void> {
  const [wanted, own] = [await readDatabase(source), await readDatabase(directory)];
  expect(lastTxOf(own)).toBe(lastTxOf(wanted));
  const firstTx = own.segments[0]?.firstTx ?? 0n;
  const expected = wanted.segments.filter((segment) => segment.firstTx >= firstTx && segment.commits.length > 0);
  expect(own.segments.map(({ name }) => name)).toEqual(expected.map(({ name }) => name));
  for (const [index, { bytes }] of own.segments.entries()) expect(expected[index]?.bytes.equals(bytes)).toBe(true);
}

test('killed five times while the database grows, and ended well', { timeout: 120_000 }, async () => {
  await using place = await databaseBesideStore(null);
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  while (growing.lastTx < 40n) await growing.writeCommit();
  await runWell(['replicate', '-once', place.database, place.url]);
  await using writer = startProgram(['replicate', place.database, place.url]);
  let standby = follow(place);
  try {
    const kills = new Set([70n, 110n, 149n, 200n, 260n]);
    while (!growing.isComplete) {
      await growing.writeCommit();
      await delay(8);
      if (!kills.has(growing.lastTx)) continue;
      // Sometimes in the midst of its start, of an object, of its rest.
      await delay(Number(growing.lastTx * 7n) % 900);
      standby.kill('SIGKILL');
      await standby.ended();
      standby = follow(place);
    }
    await reaches(standby, place.restored, growing.lastTx);
    expect(await endWell(standby)).toMatch(/stands by at transaction 299: a server may open it/);
  } finally {
    await standby[Symbol.asyncDispose]();
  }
  await endWell(writer);
  await expectLog(place.database, place.restored);
  const left = (await readdir(place.restored, { recursive: true })).filter((name) => name.includes('.stdb-tmp'));
  expect(left).toEqual([]);
});

describe('the lock', () => {
  const canLock = async (directory: string): Promise<boolean> =>
    promisify(execFile)(FLOCK ?? '', ['-n', join(directory, 'db.lock'), 'true']).then(
      () => true,
      () => false,
    );

  needsFlock('nobody else can have the directory while it runs; a kill frees it', async () => {
    await using place = await databaseBesideStore();
    await runWell(['replicate', '-once', place.database, place.url]);
    await using standby = follow(place);
    await standby.says(/up to date/);
    expect(await canLock(place.restored)).toBe(false);
    const other = ['restore', '-follow', '-o', place.restored, place.url];
    await runBadly(other, { code: 16, says: [/a server, or another standby, has .* open/] });
    standby.kill('SIGKILL');
    await standby.ended();
    while (!(await canLock(place.restored))) await delay(10);
    const again = follow(place);
    await again.says(/up to date/);
    await endWell(again);
    expect(await canLock(place.restored)).toBe(true);
  });

  needsFlock('a directory that a server has open is left alone', async () => {
    await using place = await databaseBesideStore();
    await runWell(['replicate', '-once', place.database, place.url]);
    await runWell(['restore', '-o', place.restored, place.url]);
    const server = spawn(FLOCK ?? '', [join(place.restored, 'db.lock'), 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    server.stdin.write('locked\n');
    await once(server.stdout, 'data');
    const args = ['restore', '-follow', '-o', place.restored, place.url];
    await runBadly(args, { code: 16, says: [/has .* open/] });
    server.stdin.end();
    await once(server, 'exit');
  });
});

test('another history in the backup: it stops, and says from where', async () => {
  await using place = await databaseBesideStore();
  await runWell(['replicate', '-once', place.database, place.url]);
  await using standby = follow(place);
  await standby.says(/up to date/);
  // The server lost its last commits, and somebody began it again.
  const { segments } = await readDatabase(place.database);
  const last = segments.at(-1);
  const lost = last?.commits.slice(-5).reduce((sum, { bytes }) => sum + bytes.byteLength, 0) ?? 0;
  const path = join(place.database, 'clog', last?.name ?? '');
  await truncate(path, (last?.bytes.byteLength ?? 0) - lost);
  await runWell(['replicate', '-once', place.database, place.url]);
  const { code, stderr } = await standby.ended();
  expect(code, stderr).toBe(15);
  expect(stderr).toMatch(/ends at transaction 299 .*must be restored again from transaction 295 on/);
  expect(lastTxOf(await readDatabase(place.restored))).toBe(299n);
});

test('the store is away for a while; health and lag are served', async () => {
  await using place = await databaseBesideStore(null);
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  while (growing.lastTx < 100n) await growing.writeCommit();
  await runWell(['replicate', '-once', place.database, place.url]);
  const addr = `127.0.0.1:${await freePort()}`;
  const config = place.at('config.yml');
  await writeFile(
    config,
    [`addr: ${addr}`, 'dbs:', `  - path: ${place.database}`, '    replica:', `      url: ${place.url}`, ''].join('\n'),
  );
  await using standby = startProgram([
    'restore',
    '-follow',
    '-interval',
    '50ms',
    '-config',
    config,
    '-o',
    place.restored,
    place.url,
  ]);
  await standby.says(/up to date/);
  expect(await metric(addr, 'standby_tx_offset')).toBe(100);
  expect((await getText(addr, '/readyz')).status).toBe(200);
  await rename(place.store, `${place.store}-away`);
  await delay(400);
  await rename(`${place.store}-away`, place.store);
  await growing.finish();
  await runWell(['replicate', '-once', place.database, place.url]);
  await standby.until(async () => (await metric(addr, 'standby_tx_offset')) === 299, 'the end');
  await standby.until(async () => (await metric(addr, 'standby_lag_transactions')) === 0, 'no lag');
  await endWell(standby);
  expect((await stat(join(place.restored, 'db.lock'))).isFile()).toBe(true);
  await expectLog(place.database, place.restored);
});

test('a log that ends in format version 0 is restored, and not followed', async () => {
  await using place = await databaseBesideStore('v2-batched/v0-last-too');
  await runWell(['replicate', '-once', place.database, place.url]);
  const says = [/format version 0, which a standby cannot follow; .* is restored/, /hint: A server can open/];
  await runBadly(['restore', '-follow', '-o', place.restored, place.url], { code: 1, says });
  expect(lastTxOf(await readDatabase(place.restored))).toBe(lastTxOf(await readDatabase(place.database)));
});

test.each([
  [['-tx', '5'], /-follow and -tx exclude each other/],
  [['-dry-run'], /-follow and -dry-run exclude each other/],
  [['-interval', '0s'], /interval/],
])('-follow %j', async (more, says) => {
  await using place = await databaseBesideStore(null);
  await runBadly(['restore', '-follow', ...more, '-o', place.restored, place.url], { code: 2, says: [says] });
});

test('nothing is stored yet: there is nothing to stand by for', async () => {
  await using place = await databaseBesideStore(null);
  await runBadly(['restore', '-follow', '-o', place.restored, place.url], { code: 10, says: [/no backup/] });
});
