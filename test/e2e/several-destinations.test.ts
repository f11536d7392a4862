/**
 * Invariants of several destinations: each has its own position, retries and health; one that is down neither delays nor
 * fails the others, whatever they share (memory, connections, the log), and catches up from the local log when it is back.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { type DatabaseBesideStore, databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { metric, metrics, readiness } from '../support/http-status.ts';
import { testNeeding } from '../support/named-skip.ts';
import { startProgram } from '../support/program.ts';
import { rawHttpServer } from '../support/raw-http-server.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { s3Credentials, s3Url } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { listKeys, readHead } from '../support/stored-log.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const found = await s3Server();
const needsS3 = testNeeding({ missing: isServer(found) ? null : found.skip, requiredBy: 'STDB_TEST_REQUIRE_S3' });

afterAll(async () => {
  if (isServer(found)) await found.stop();
});

const ANY_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'somebody', AWS_SECRET_ACCESS_KEY: 'something' };
const hangingUrl = (endpoint: string): string => `s3://bucket/prefix?endpoint=${endpoint}&region=us-east-1`;

/** @param dbs for each path its destinations */
async function configure(
  place: DatabaseBesideStore,
  dbs: Readonly<Record<string, readonly string[]>>,
  more: readonly string[] = [],
): Promise<string> {
  const entries = Object.entries(dbs).map(([path, urls]) => ({ path, replicas: urls.map((url) => ({ url })) }));
  const config = place.at('c.yml');
  // JSON is YAML.
  await writeFile(config, [...more, `dbs: ${JSON.stringify(entries)}`, ''].join('\n'));
  return config;
}

async function expectRestored(place: DatabaseBesideStore, name: string, url: string, env = {}): Promise<void> {
  await runWell(['restore', '-o', place.at(name), url], { env });
  expect((await compareRestored(await readDatabase(place.database), place.at(name))).differences).toEqual([]);
}

describe('one pass', () => {
  test('stores everything at each', async () => {
    await using place = await databaseBesideStore();
    await mkdir(place.at('second'));
    const second = `file://${place.at('second')}`;
    await runWell(['replicate', '-once', place.database, place.url, second]);
    for (const [name, url] of Object.entries({ one: place.url, two: second })) await expectRestored(place, name, url);
  });

  test('one that does not answer is told by the exit code, and the other has all', async () => {
    await using place = await databaseBesideStore();
    await using hanging = await rawHttpServer(() => undefined);
    const config = await configure(place, { [place.database]: [hangingUrl(hanging.endpoint), place.url] }, [
      'request-timeout: 1s',
    ]);
    await runBadly(['replicate', '-once', '-give-up-after', '1s', '-config', config], {
      env: ANY_CREDENTIALS,
      code: 3,
      says: [/"code":"STORE_UNAVAILABLE"/, new RegExp(hanging.endpoint)],
    });
    expect(await readHead(place.store)).toMatchObject({ released: true, position: { tx: '299' } });
    await expectRestored(place, 'one', place.url);
  });

  test('the same destination twice is refused', async () => {
    await using place = await databaseBesideStore();
    await runBadly(['replicate', '-once', place.database, place.url, `${place.url}/`], {
      code: 2,
      says: [/is the same place as that of dbs\[0\]\.replicas\[0\]/],
    });
    expect(await listKeys(place.store)).toEqual([]);
  });
});

needsS3('one of two stores goes away while the database grows, and catches up when it is back', async () => {
  if (!isServer(found)) throw new Error(found.skip);
  await using place = await databaseBesideStore(null);
  await using proxy = new TcpProxy(found.endpoint);
  await proxy.open();
  const url = s3Url({ ...found, endpoint: proxy.endpoint }, await found.makeBucket());
  const env = s3Credentials(found);
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  const addr = `127.0.0.1:${await freePort()}`;
  const config = await configure(place, { [place.database]: [url, place.url] }, [`addr: ${addr}`]);
  await using program = startProgram(['replicate', '-config', config], { env });
  const stored = (destination: 's3' | 'file'): Promise<number | null> =>
    metric(addr, 'stored_tx_offset', `destination="${destination}:`);

  while (growing.lastTx < 100n) await growing.writeCommit();
  await program.says(/serving metrics/);
  for (const each of ['s3', 'file'] as const) await program.until(async () => (await stored(each)) === 100, each);
  await proxy.cut();
  while (growing.lastTx < 200n) await growing.writeCommit();
  await growing.takeSnapshot(180n);
  await program.until(async () => (await stored('file')) === 200, 'the other to have all');
  await program.until(async () => (await metric(addr, 'snapshots_total', 'destination="file:')) === 1, 'the snapshot');
  expect(await stored('s3')).toBe(100);
  expect(await metric(addr, 'lag_seconds', 'destination="file:')).toBe(0);
  await program.until(async () => ((await metric(addr, 'lag_seconds', 'destination="s3:')) ?? 0) > 0, 'a lag');
  expect(await metric(addr, 'store_errors_total', 'destination="file:', 'operation="put"')).toBe(0);
  // In the order of the configuration; what is down is degraded, and takes no readiness from the service.
  expect(await readiness(addr)).toMatchObject({
    ready: true,
    databases: [
      { health: 'degraded', reason: expect.stringContaining('STORE_UNAVAILABLE') as string },
      { health: 'ok' },
    ],
  });

  await proxy.open();
  await growing.finish();
  await program.until(async () => (await stored('s3')) === 299, 'it to catch up');
  await program.until(async () => (await stored('file')) === 299, 'the other to go on');
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
  await expectRestored(place, 'one', url, env);
  await expectRestored(place, 'two', place.url);
});

needsS3('one that misses what the local log no longer holds gets a gap, and the other does not', async () => {
  if (!isServer(found)) throw new Error(found.skip);
  await using place = await databaseBesideStore(null);
  await using proxy = new TcpProxy(found.endpoint);
  await proxy.open();
  const url = s3Url({ ...found, endpoint: proxy.endpoint }, await found.makeBucket());
  const env = s3Credentials(found);
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  const addr = `127.0.0.1:${await freePort()}`;
  const config = await configure(place, { [place.database]: [url, place.url] }, [`addr: ${addr}`]);
  const stored = (destination: 's3' | 'file'): Promise<number | null> =>
    metric(addr, 'stored_tx_offset', `destination="${destination}:`);
  while (growing.lastTx < 100n) await growing.writeCommit();
  {
    await using first = startProgram(['replicate', '-config', config], { env });
    await first.says(/serving metrics/);
    for (const each of ['s3', 'file'] as const) await first.until(async () => (await stored(each)) === 100, each);
    await proxy.cut();
    await growing.finish();
    await growing.takeSnapshot(180n);
    await first.until(async () => (await metric(addr, 'snapshots_total', 'destination="file:')) === 1, 'the snapshot');
    await first.until(async () => (await stored('file')) === 299, 'the other to have all');
  }
  // What a server removes once a snapshot stands behind it.
  await rm(`${place.database}/clog/00000000000000000000.stdb.log`);
  await rm(`${place.database}/clog/00000000000000000000.stdb.ofs`);

  await using second = startProgram(['replicate', '-config', config], { env });
  await second.says(/serving metrics/);
  await second.until(async () => (await stored('file')) === 299, 'the other to go on while one is away');
  await proxy.open();
  await second.until(async () => (await stored('s3')) === 299, 'it to begin anew');
  await second.until(async () => (await metric(addr, 'snapshots_total', 'destination="s3:')) === 1, 'its snapshot');
  const begun = [...(await metrics(addr, 'generations_total')).keys()].sort();
  expect(begun.map((labels) => labels.replace(/database="[^"]*",destination="(file|s3):[^"]*"/, '$1'))).toEqual([
    'file,reason="takeover"',
    's3,reason="gap"',
  ]);
  second.kill('SIGTERM');
  const { code, stderr } = await second.ended();
  expect(code, stderr).toBe(0);
  await expectRestored(place, 'one', url, env);
  await expectRestored(place, 'two', place.url);
});

test('a store that never answers is not ready, and holds nobody back', async () => {
  await using place = await databaseBesideStore();
  await using hanging = await rawHttpServer(() => undefined);
  const addr = `127.0.0.1:${await freePort()}`;
  const config = await configure(place, { [place.database]: [hangingUrl(hanging.endpoint), place.url] }, [
    `addr: ${addr}`,
    'shutdown-timeout: 1s',
  ]);
  await using program = startProgram(['replicate', '-config', config], { env: ANY_CREDENTIALS });
  await program.says(/snapshot stored/);
  expect(await metric(addr, 'stored_tx_offset', 'destination="file:')).toBe(299);
  expect(await readiness(addr)).toMatchObject({ ready: false, databases: [{ health: 'starting' }, { health: 'ok' }] });
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  // What one has is safe there; the other one lacks all.
  expect(code, stderr).toBe(3);
  const said = stderr.split('\n').filter((line) => line.includes('not all was stored within'));
  expect(said.join()).toContain(hanging.endpoint);
  expect(said.join()).not.toContain(place.url);
  expect(await readHead(place.store)).toMatchObject({ released: true, position: { tx: '299' } });
});
