/**
 * Invariants of `restore` for a whole server, through the program: what was replicated comes back, files, programs and
 * every database; one database comes back alone where that is asked; nothing that a running server makes is restored;
 * a missing database is never passed over in silence.
 */
import { existsSync } from 'node:fs';
import { chown, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { type DatabaseBesideStore, databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { readDatabase, readTree } from '../support/recorded-database.ts';
import { copyVector } from '../vectors/vectors.ts';

const isReplica = (path: string): boolean => path.startsWith('replicas/');
const OWN = ['metadata.toml', 'config.toml', 'control-db/conf', 'control-db/db'];

let stored: DatabaseBesideStore;
let config: string;

async function writeServerConfig(
  place: DatabaseBesideStore,
  urls: readonly string[],
  more: readonly string[] = [],
): Promise<string> {
  const path = join(place.path, 'replicate.yml');
  const lines = [
    'dbs:',
    `  - path: ${place.database}`,
    ...more,
    '    replicas:',
    ...urls.map((url) => `      - url: ${url}`),
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

beforeAll(async () => {
  stored = await databaseBesideStore(null);
  copyVector('server-2.8', stored.database);
  for (const name of ['spacetime.pid', 'replicas/1/db.lock', 'logs/server.log', 'cache/wasmtime/x', 'unknown']) {
    await mkdir(join(stored.database, name, '..'), { recursive: true });
    await writeFile(join(stored.database, name), 'of a running server');
  }
  await writeFile(join(stored.path, 'id_ecdsa'), 'a key', { mode: 0o600 });
  config = await writeServerConfig(stored, [stored.url], [`    extra-files: [${join(stored.path, 'id_ecdsa')}]`]);
  await runWell(['replicate', '-once', '-config', config]);
});
afterAll(() => stored[Symbol.asyncDispose]());

/** The stored server, in a store of its own to be changed. */
async function copyOfStore(): Promise<DatabaseBesideStore> {
  const place = await databaseBesideStore(null);
  await cp(stored.store, place.store, { recursive: true });
  return place;
}

async function expectServer(target: string): Promise<void> {
  const [source, restored] = await Promise.all([readTree(stored.database), readTree(target)]);
  const own = [...restored.keys()].filter((path) => !isReplica(path));
  const programs = [...source.keys()].filter((path) => path.startsWith('program-bytes/'));
  expect(programs.length).toBeGreaterThan(0);
  expect(own.sort()).toEqual(
    [...OWN.filter((path) => source.has(path)), ...programs, 'extra/id_ecdsa', ...snapsOf(source)].sort(),
  );
  for (const path of own.filter((name) => name !== 'extra/id_ecdsa')) {
    expect(restored.get(path)?.equals(source.get(path) ?? Buffer.alloc(0)), path).toBe(true);
  }
  expect(await readdir(join(target, 'control-db', 'blobs'))).toEqual([]);
  expect((await stat(join(target, 'extra', 'id_ecdsa'))).mode & 0o777).toBe(0o600);
  expect((await readdir(join(target, 'replicas'))).sort()).toEqual(['1', '3']);
  for (const id of ['1', '3']) await expectReplica(join(target, 'replicas', id), id);
}

const snapsOf = (source: ReadonlyMap<string, Buffer>): string[] =>
  [...source.keys()].filter((path) => path.startsWith('control-db/snap.'));

async function expectReplica(target: string, id: string): Promise<void> {
  const source = await readDatabase(join(stored.database, 'replicas', id));
  expect((await compareRestored(source, target)).differences).toEqual([]);
}

describe('a whole server', () => {
  test('from a URL, as one document', async () => {
    const target = join(stored.path, 'from-url');
    const { stdout } = await runWell(['restore', '-json', '-o', target, stored.url]);
    await expectServer(target);
    const document = JSON.parse(stdout) as { readonly replicas: readonly object[] };
    expect(document).toMatchObject({
      format: 1,
      kind: 'server',
      outcome: 'restored',
      target,
      missing: [],
      warnings: [],
    });
    expect(document.replicas).toMatchObject([
      { replicaId: '1', tx: '67', snapshot: '51' },
      { replicaId: '3', tx: '8', snapshot: '0' },
    ]);
  });

  test('by its path, into its place: only once, and the operator hears of keys', async () => {
    await using place = await copyOfStore();
    const own = await writeServerConfig(place, [place.url]);
    const args = ['restore', '-config', own, '-if-db-not-exists', '-if-replica-exists', place.database];
    const { stderr } = await runWell(args);
    await expectServer(place.database);
    expect(stderr).toMatch(/id_ecdsa/);
    expect((await runWell(args)).stderr).toMatch(/already holds a database/);
    await runBadly(['restore', '-config', own, place.database], { code: 16, says: [/not empty/] });
  });

  test('a dry run says all of it, and writes nothing', async () => {
    const target = join(stored.path, 'dry');
    const { stdout } = await runWell(['restore', '-dry-run', '-o', target, stored.url]);
    expect(stdout).toMatch(/replica 1 .*67[^]*replica 3 .*8/);
    expect(existsSync(target)).toBe(false);
  });

  test('for another user, with another mode', async () => {
    const target = join(stored.path, 'owned');
    const isRoot = await chown(stored.store, 0, 0).then(
      () => true,
      () => false,
    );
    const args = ['restore', '-mode', '0750', '-uid', '12345', '-gid', '23456', '-o', target, stored.url];
    if (!isRoot) {
      await runBadly(args, { code: 1, says: [/12345/, /hint/] });
      expect(existsSync(target)).toBe(false);
      return;
    }
    await runWell(args);
    for (const [path, mode] of [
      ['', 0o750],
      ['replicas/1/clog', 0o750],
      ['control-db/blobs', 0o750],
      ['replicas/3/clog/00000000000000000000.stdb.log', 0o640],
      ['extra/id_ecdsa', 0o600],
    ] as const) {
      const facts = await stat(join(target, path));
      expect([facts.uid, facts.gid, facts.mode & 0o777], path).toEqual([12_345, 23_456, mode]);
    }
  });
});

describe('one database of a server', () => {
  test('into -o, which becomes its directory', async () => {
    const target = join(stored.path, 'three');
    await runWell(['restore', '-replica-id', '3', '-o', target, stored.url]);
    await expectReplica(target, '3');
  });

  test.each([['-replica-id', '3'], ['the path of its directory']])('into its place, by %s', async (...how) => {
    await using place = await copyOfStore();
    const own = await writeServerConfig(place, [place.url]);
    const target = join(place.database, 'replicas', '3');
    await runWell(['restore', '-config', own, ...(how.length === 2 ? [...how, place.database] : [target])]);
    await expectReplica(target, '3');
    expect(await readdir(join(place.database, 'replicas'))).toEqual(['3']);
  });

  test('that is not there is no backup, and a database’s own backup has no replicas', async () => {
    const target = join(stored.path, 'none');
    await runBadly(['restore', '-replica-id', '4', '-o', target, stored.url], { code: 10, says: [/no database 4/] });
    await runBadly(['restore', '-replica-id', '3', '-o', target, `${stored.url}/replicas/3`], {
      code: 2,
      says: [/one database/],
    });
    await runBadly(['restore', '-partial', '-o', target, `${stored.url}/replicas/3`], { code: 2, says: [/-partial/] });
    expect(existsSync(target)).toBe(false);
  });
});

test('a database whose backup was removed is named: 14, or left out with -partial, in loud words', async () => {
  await using place = await copyOfStore();
  await rm(join(place.store, 'replicas', '3'), { recursive: true });
  await runBadly(['restore', '-o', place.restored, place.url], { code: 14, says: [/replica 3/, /-partial/] });
  expect(existsSync(place.restored)).toBe(false);
  const { stderr } = await runWell(['restore', '-partial', '-o', place.restored, place.url]);
  expect(stderr).toMatch(/Replica 3 is NOT restored/);
  expect(await readdir(join(place.restored, 'replicas'))).toEqual(['1']);
  expect((await readFile(join(place.restored, 'metadata.toml'))).byteLength).toBeGreaterThan(0);
});
