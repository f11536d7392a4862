/**
 * Invariants of a whole server data directory: every database in it is replicated as one of its own, whenever it comes and
 * goes, and the server's own files with them; what is gone keeps its backup; a destination is of one kind for good; the
 * source is only read.
 */
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import {
  type DatabaseBesideStore,
  databaseBesideStore,
  runBadly,
  runWell,
  writeConfig,
} from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { getText, metric, metrics, readiness } from '../support/http-status.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { listKeys, readHead } from '../support/stored-log.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';

/** A copy of a server's data directory as `database`. */
async function serverBesideStore(): Promise<DatabaseBesideStore> {
  const place = await databaseBesideStore(null);
  copyVector('server-2.8', place.database);
  return place;
}

async function expectReplica(
  place: DatabaseBesideStore,
  { id, source }: { id: number; source: string },
): Promise<void> {
  const target = join(place.restored, `${id}`);
  await mkdir(place.restored, { recursive: true });
  await runWell(['restore', '-o', target, `${place.url}/replicas/${id}`]);
  expect((await compareRestored(await readDatabase(source), target)).differences).toEqual([]);
}

const shapeOf = (key: string): string =>
  key.replaceAll(/[0-9a-f]{8,}(Z|\b)/g, 'x').replaceAll(/\d{8}T\S*?Z-x/g, 'image');

describe('one pass', () => {
  test('stores each database and the server’s own files, and a second one nothing more', async () => {
    await using place = await serverBesideStore();
    const before = await treeFacts(place.database);
    await runWell(['replicate', '-once', place.database, place.url]);
    expect(await treeFacts(place.database)).toEqual(before);
    const keys = await listKeys(place.store);
    expect([...new Set(keys.map((key) => key.split('/').slice(0, 2).join('/')))].sort()).toEqual([
      'format.json',
      'replicas/1',
      'replicas/3',
      'server/generations',
      'server/head.json',
      'server/program-bytes',
    ]);
    expect(keys.map(shapeOf).filter((key) => key.endsWith('manifest.json'))).toHaveLength(1);
    for (const id of [1, 3]) {
      expect(await readHead(join(place.store, 'replicas', `${id}`))).toMatchObject({ released: true });
      await expectReplica(place, { id, source: join(place.database, 'replicas', `${id}`) });
    }
    await runWell(['replicate', '-once', place.database, place.url]);
    expect(await listKeys(place.store)).toEqual(keys);
  });

  test('one database that cannot be read keeps neither the other nor the image from being stored', async () => {
    await using place = await serverBesideStore();
    const segment = join(place.database, 'replicas/3/clog/00000000000000000000.stdb.log');
    const bytes = await readFile(segment);
    // A version that no release knows.
    bytes[6] = 9;
    await writeFile(segment, bytes);
    await runBadly(['replicate', '-once', place.database, place.url], { code: 3, says: [/version 9/, /replicas\/3/] });
    await expectReplica(place, { id: 1, source: join(place.database, 'replicas/1') });
    expect((await listKeys(place.store)).some((key) => key.endsWith('/manifest.json'))).toBe(true);
  });

  test('extra files go with the image; a replica directory without a log is left out', async () => {
    await using place = await serverBesideStore();
    await mkdir(join(place.database, 'replicas/7'));
    await writeFile(place.at('id_ecdsa'), 'a key');
    const config = place.at('c.yml');
    const more = `    extra-files: [${place.at('id_ecdsa')}]\n`;
    await writeFile(config, `dbs:\n  - path: ${place.database}\n    replica: {url: "${place.url}"}\n${more}`);
    const { stderr } = await runWell(['replicate', '-once', '-config', config]);
    expect(stderr).toMatch(
      /without a commit log is left out.*replicas\/7|replicas\/7.*without a commit log is left out/,
    );
    const keys = await listKeys(place.store);
    expect(keys.filter((key) => key.startsWith('replicas/7'))).toEqual([]);
    expect(keys.filter((key) => /images\/[^/]+\/\d+\.zst$/.test(key))).toHaveLength(5);
  });
});

describe('databases', () => {
  test('shows each database at each destination, also one that is gone, and the server’s own files', async () => {
    await using place = await serverBesideStore();
    await mkdir(place.at('second'));
    const config = place.at('c.yml');
    const urls = [place.url, `file://${place.at('second')}`, `file://${place.at('absent')}`];
    const db = { path: place.database, replicas: urls.map((url) => ({ url })) };
    await writeFile(config, `dbs: [${JSON.stringify(db)}]\n`);
    await runWell(['replicate', '-once', place.database, place.url]);
    await rm(join(place.database, 'replicas/3'), { recursive: true });
    const { code, stdout } = await runProgram(['databases', '-json', '-config', config]);
    // One destination is not there.
    expect(code).toBe(3);
    const shown = JSON.parse(stdout) as { databases: readonly object[]; servers: readonly object[] };
    const [one, three] = ['1', '3'].map((id) => join(place.database, 'replicas', id));
    expect(shown.servers).toMatchObject([
      { destination: urls[0], images: { released: true, newest: expect.stringMatching(/Z$/) as string } },
      { destination: urls[1], images: { generation: null, newest: null } },
      { destination: urls[2], images: { error: 'STORE_NOT_FOUND' } },
    ]);
    expect(shown.databases).toMatchObject([
      { path: one, destination: urls[0], lagTransactions: '0', stored: { position: { tx: '67' } } },
      { path: one, destination: urls[1], lagTransactions: '68', stored: { generation: null } },
      { path: one, destination: urls[2], lagTransactions: null, stored: { error: 'STORE_NOT_FOUND' } },
      { path: three, destination: urls[0], local: { kind: 'absent' }, stored: { position: { tx: '8' } } },
      { path: three, destination: urls[1], stored: { generation: null } },
      { path: three, destination: urls[2], stored: { error: 'STORE_NOT_FOUND' } },
    ]);
    const people = (await runProgram(['databases', '-config', config])).stdout;
    expect(people).toMatch(/local {8}databases 1\n {2}image {8}of \d{4}-/);
    expect(people).toMatch(/replicas\/3\n.*\n {2}local {8}not there\n {2}stored {7}up to transaction 8 /);
  });
});

describe('a destination is of one kind', () => {
  test('that of a database is refused for a server, before anything is stored', async () => {
    await using place = await serverBesideStore();
    const one = join(place.database, 'replicas/1');
    await runWell(['replicate', '-once', one, place.url]);
    const keys = await listKeys(place.store);
    await runBadly(['replicate', '-once', place.database, place.url], {
      code: 2,
      says: [/holds the backup of a single database/, /"hint":"[^"]*prefix of its own/],
    });
    expect(await listKeys(place.store)).toEqual(keys);
  });

  test('that of a server is refused for a database', async () => {
    await using place = await serverBesideStore();
    await runWell(['replicate', '-once', place.database, place.url]);
    const keys = await listKeys(place.store);
    await runBadly(['replicate', '-once', join(place.database, 'replicas/1'), place.url], {
      code: 2,
      says: [/holds the backup of a whole server data directory/],
    });
    expect(await listKeys(place.store)).toEqual(keys);
  });
});

describe('the service', () => {
  test('databases come and go; what is gone keeps its backup and is no matter of health', async () => {
    await using place = await serverBesideStore();
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const addr = `127.0.0.1:${await freePort()}`;
    const config = await writeConfig(place.at('c.yml'), { ...place, more: [`addr: ${addr}`] });
    await using program = startProgram(['replicate', '-config', config]);
    await program.says(/serving metrics/);
    await program.until(async () => (await metric(addr, 'images_total')) === 1, 'the first image');
    await program.until(async () => (await metric(addr, 'stored_tx_offset', '/replicas/1"')) === 67, 'database 1');
    await program.until(async () => (await readiness(addr)).ready, 'it to be ready');

    const growing = new GrowingDatabase(join(place.database, 'replicas/12'), recorded);
    await growing.create();
    await growing.finish();
    await growing.takeSnapshot(180n);
    await program.says(/a database has appeared/);
    expect((await readiness(addr)).ready).toBe(true);
    await program.until(async () => (await metric(addr, 'stored_tx_offset', '/replicas/12"')) === 299, 'database 12');

    const gone = join(place.database, 'replicas/3');
    await cp(gone, place.at('gone'), { recursive: true });
    await rm(gone, { recursive: true });
    await program.says(/the directory of a database is gone/);
    await program.until(
      async () => (await metrics(addr, 'lag_seconds', '/replicas/3"')).size === 0,
      'it to be forgotten',
    );
    const health = await readiness(addr);
    expect(health.databases.map(({ database }) => database.replace(place.database, ''))).toEqual([
      '/replicas/1',
      '/replicas/12',
    ]);
    expect(health).toMatchObject({ ready: true, servers: [{ dataDirectory: place.database, health: 'ok' }] });

    const events = (await getText(addr, '/events')).text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(events).toContainEqual(expect.objectContaining({ message: 'a database has appeared' }));

    program.kill('SIGTERM');
    const { code, stderr } = await program.ended();
    expect(code, stderr).toBe(0);
    for (const id of [1, 12]) {
      expect(await readHead(join(place.store, 'replicas', `${id}`))).toMatchObject({ released: true });
    }
    await expectReplica(place, { id: 3, source: place.at('gone') });
    await expectReplica(place, { id: 12, source: growing.directory });
  });

  test('a directory that does not exist yet becomes a server’s', async () => {
    await using place = await databaseBesideStore(null);
    const addr = `127.0.0.1:${await freePort()}`;
    const config = await writeConfig(place.at('c.yml'), { ...place, more: [`addr: ${addr}`] });
    await using program = startProgram(['replicate', '-config', config]);
    await program.says(/waiting for a commit log/);
    expect(await readiness(addr)).toMatchObject({ ready: true, databases: [{ health: 'waiting' }], servers: [] });
    copyVector('server-2.8', place.at('made'));
    await rename(place.at('made'), place.database);
    await program.until(async () => (await metric(addr, 'images_total')) === 1, 'an image');
    await program.until(async () => (await metric(addr, 'stored_tx_offset', '/replicas/3"')) === 8, 'database 3');
    program.kill('SIGTERM');
    const { code, stderr } = await program.ended();
    expect(code, stderr).toBe(0);
    expect(stderr).not.toMatch(/is gone/);
    for (const id of [1, 3]) await expectReplica(place, { id, source: join(place.database, 'replicas', `${id}`) });
  });
});
