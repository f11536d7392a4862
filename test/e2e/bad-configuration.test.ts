/** Invariant: what is wrong in a configuration or a command line is told with its place and its remedy, before anything runs. */
import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { databaseBesideStore, runBadly, writeConfig } from '../support/database-beside-store.ts';
import { listKeys } from '../support/stored-log.ts';

test('an unknown key: its line, and the nearest key that there is', async () => {
  await using place = await databaseBesideStore();
  const config = await writeConfig(place.at('c.yml'), { ...place, more: ['log:', '  level: info', 'leese-ttl: 60s'] });
  await runBadly(['replicate', '-config', config], {
    code: 2,
    says: [/c\.yml:3:1: unknown key "leese-ttl", did you mean lease-ttl/],
  });
  await runBadly(['config', 'check', '-config', config], { code: 2, says: [/c\.yml:3:1/] });
  expect(await listKeys(place.store)).toEqual([]);
});

test('an unknown flag', async () => {
  await runBadly(['replicate', '-onse'], { code: 2, says: [/-onse/, /-once/] });
});

describe('a bad destination', () => {
  test.each([
    ['s4://bucket/prefix', /s4: is not a kind of store/, /s3:/],
    ['file://relative/path', /file:/, /\/\/\//],
    ['s3://', /bucket/, /./],
    ['not-a-url', /not-a-url/, /./],
    ['s3://bucket/prefix?endpiont=http://127.0.0.1:9', /endpiont/, /endpoint/],
  ])('%s', async (url, says, remedy) => {
    await using place = await databaseBesideStore();
    await runBadly(['replicate', '-once', place.database, url], { code: 2, says: [says, remedy] });
    // What is no URL is a directory for a restore.
    if (url.includes(':')) await runBadly(['restore', '-o', place.restored, url], { code: 2, says: [says] });
  });
});

test('an environment variable that is not set', async () => {
  await using place = await databaseBesideStore();
  const config = await writeConfig(place.at('c.yml'), { ...place, url: '${STDB_TEST_NOT_SET}' });
  await runBadly(['replicate', '-config', config], { code: 2, says: [/STDB_TEST_NOT_SET/] });
});

test('two databases for one place', async () => {
  await using place = await databaseBesideStore();
  const config = place.at('c.yml');
  const one = (path: string): string => `  - path: ${path}\n    replica:\n      url: ${place.url}\n`;
  await writeFile(config, `dbs:\n${one('/stdb/a')}${one('/stdb/b')}`);
  await runBadly(['replicate', '-config', config], { code: 2, says: [/c\.yml:\d+:\d+: .*is the same place/] });
});

test('a destination inside of the database itself', async () => {
  await using place = await databaseBesideStore();
  await runBadly(['replicate', '-once', place.database, `file://${place.database}/backup`], {
    code: 2,
    says: [/lies inside the database/],
  });
});

test('a file that is not there', async () => {
  await runBadly(['replicate', '-config', '/stdb/there/is/none.yml'], { code: 2, says: [/none\.yml/] });
});
