/**
 * Invariants of the running service: it waits for what does not exist yet; it tells what it does over HTTP; the first
 * signal ends it with exit code 0 only when all is stored and the lease is released; the second one ends it at once; a
 * hanging store does not hold it longer than the shutdown timeout; two writers never both believe that they hold a backup.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { databaseBesideStore, runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { startProgram } from '../support/program.ts';
import { rawHttpServer } from '../support/raw-http-server.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { readHead, readStored } from '../support/stored-log.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const ANY_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'somebody', AWS_SECRET_ACCESS_KEY: 'something' };

async function getText(addr: string, path: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://${addr}${path}`);
  return { status: answer.status, text: await answer.text() };
}

/** The value of a metric; null where it is absent. */
function metric(text: string, name: string): number | null {
  const found = new RegExp(`^stdb_replicate_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text);
  return found === null ? null : Number(found[1]);
}

describe('waiting, health and metrics', () => {
  test('a database that appears later, from nothing to its last commit', async () => {
    await using place = await databaseBesideStore(null);
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const addr = `127.0.0.1:${await freePort()}`;
    const config = await writeConfig(place.at('c.yml'), { ...place, more: [`addr: ${addr}`] });
    await using program = startProgram(['replicate', '-config', config]);

    await program.says(/waiting for a commit log/);
    expect(await getText(addr, '/livez')).toEqual({ status: 200, text: 'ok\n' });
    expect((await getText(addr, '/readyz')).status).toBe(200);
    const waiting = (await getText(addr, '/metrics')).text;
    expect(waiting).toMatch(/database_state\{.*state="waiting"\} 1/);
    expect(metric(waiting, 'stored_tx_offset')).toBeNull();

    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    await growing.finish();
    await growing.takeSnapshot(180n);
    const stored = async (name: string): Promise<number | null> => metric((await getText(addr, '/metrics')).text, name);
    await program.until(async () => (await stored('stored_tx_offset')) === 299, 'all commits to be stored');
    await program.until(async () => (await stored('newest_snapshot_tx_offset')) === 180, 'the snapshot to be stored');

    const { text } = await getText(addr, '/metrics');
    expect(text).toMatch(/database_state\{.*state="streaming"\} 1/);
    expect(metric(text, 'local_tx_offset')).toBe(299);
    expect(metric(text, 'lag_transactions')).toBe(0);
    expect(metric(text, 'lag_seconds')).toBe(0);
    expect(metric(text, 'commits_total')).toBe(300);
    expect(metric(text, 'snapshots_total')).toBe(1);
    expect(metric(text, 'last_success_timestamp_seconds')).toBeGreaterThan(1_700_000_000);
    expect(text).toMatch(/store_requests_total\{.*operation="put"\} [1-9]/);
    expect(metric(text, 'log_plain_bytes_total')).toBeGreaterThan(100_000);
    const ready = await getText(addr, '/readyz');
    expect(ready.status).toBe(200);
    expect(JSON.parse(ready.text)).toMatchObject({ ready: true, health: 'ok', databases: [{ health: 'ok' }] });
    expect((await getText(addr, '/nothing')).status).toBe(404);

    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(0);
    await runWell(['restore', '-o', place.restored, place.url]);
    // The first snapshot was never taken here; the newest one is what a restore uses.
    expect((await compareRestored(recorded, place.restored)).differences).toEqual([]);
  });

  test('an idle database asks nothing of its store', async () => {
    await using place = await databaseBesideStore();
    const addr = `127.0.0.1:${await freePort()}`;
    const config = await writeConfig(place.at('c.yml'), { ...place, more: [`addr: ${addr}`, 'lease-ttl: 5s'] });
    await using program = startProgram(['replicate', '-config', config]);
    await program.says(/snapshot stored/);
    const requests = async (): Promise<string[]> =>
      (await getText(addr, '/metrics')).text.split('\n').filter((line) => line.includes('store_requests_total{'));
    const before = await requests();
    await delay(6_000);
    expect(await requests()).toEqual(before);
  });

  test('an address that is in use', async () => {
    await using place = await databaseBesideStore();
    await using other = await rawHttpServer(() => undefined);
    const addr = other.endpoint.replace('http://', '');
    const config = await writeConfig(place.at('c.yml'), { ...place, more: [`addr: ${addr}`] });
    await runBadly(['replicate', '-config', config], { code: 2, says: [new RegExp(addr), /port is in use/, /hint/] });
  });
});

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s: all is stored, the lease released, exit code 0', async (signal) => {
    await using place = await databaseBesideStore(null);
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    while (growing.lastTx < 150n) await growing.writeCommit();
    await using program = startProgram(['replicate', place.database, place.url]);
    await program.says(/replicating/);
    await growing.finish();
    program.kill(signal);
    const { code, stderr } = await program.ended();
    expect(code, stderr).toBe(0);
    expect(await readHead(place.store)).toMatchObject({ released: true, position: { tx: '299' } });
  });

  test('while it waits for a database there is nothing to store', async () => {
    await using place = await databaseBesideStore(null);
    await using program = startProgram(['replicate', place.database, place.url]);
    await program.says(/waiting for a commit log/);
    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(0);
  });

  describe('with a store that takes the request and never answers', () => {
    test.each([
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const)('a second %s ends it at once with %i', async (signal, code) => {
      await using place = await databaseBesideStore();
      await using hanging = await rawHttpServer(() => undefined);
      const url = `s3://bucket/prefix?endpoint=${hanging.endpoint}&region=us-east-1&forcePathStyle=true`;
      const config = await writeConfig(place.at('c.yml'), { ...place, url, more: ['shutdown-timeout: 1h'] });
      await using program = startProgram(['replicate', '-config', config], { env: ANY_CREDENTIALS });
      await program.until(() => hanging.requests.length > 0, 'a request');
      program.kill('SIGTERM');
      await program.says(/SIGTERM: storing what is left/);
      program.kill(signal);
      const ended = await program.ended();
      expect(ended.code, ended.stderr).toBe(code);
    });

    test('the shutdown timeout ends it with 143', async () => {
      await using place = await databaseBesideStore();
      await using hanging = await rawHttpServer(() => undefined);
      const url = `s3://bucket/prefix?endpoint=${hanging.endpoint}&region=us-east-1&forcePathStyle=true`;
      const config = await writeConfig(place.at('c.yml'), { ...place, url, more: ['shutdown-timeout: 1s'] });
      await using program = startProgram(['replicate', '-config', config], { env: ANY_CREDENTIALS });
      await program.until(() => hanging.requests.length > 0, 'a request');
      program.kill('SIGTERM');
      const { code, stderr } = await program.ended();
      expect(code, stderr).toBe(143);
      expect(stderr).toMatch(/not all was stored within the shutdown timeout of 1 s/);
    });
  });
});

describe('two processes of one owner', () => {
  test('the second waits for the lease, takes over, and the first one is fenced before it stores anything', async () => {
    await using place = await databaseBesideStore(null);
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    while (growing.lastTx < 100n) await growing.writeCommit();
    const config = await writeConfig(place.at('c.yml'), { ...place, more: ['lease-ttl: 5s'] });
    await using first = startProgram(['replicate', '-config', config]);
    await first.says(/replicating/);
    const lastStored = async (): Promise<bigint | undefined> =>
      (await readStored(place.store)).generations.at(-1)?.objects.at(-1)?.last;
    await first.until(async () => (await lastStored()) === 100n, 'the first process to store all');
    await using second = startProgram(['replicate', '-config', config]);
    await second.says(/cannot be proven dead|is held by process/);
    await second.says(/"reason":"takeover"/);
    await growing.finish();
    await second.until(async () => (await lastStored()) === 299n, 'the second process to store the rest');
    const { code, stderr } = await first.ended();
    expect(code, stderr).toBe(13);
    expect(stderr).toMatch(/another writer has taken over the backup/);
    const { generations } = await readStored(place.store);
    expect(generations.map(({ objects }) => objects.at(-1)?.last)).toEqual([100n, 299n]);
    second.kill('SIGTERM');
    expect((await second.ended()).code).toBe(0);
  });
});
