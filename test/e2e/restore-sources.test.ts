/**
 * Invariants of `restore DB_DIR` with several destinations, through the program: the one that reaches furthest is taken;
 * where one cannot be asked, or two disagree, none is, and the operator hears how to choose.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DatabaseBesideStore, databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { ModelDatabase } from '../support/model-database.ts';
import { readRecordedLog } from '../support/recorded-log.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';

interface Place extends DatabaseBesideStore {
  /** The second destination. */
  readonly other: string;
  readonly otherUrl: string;
  readonly config: string;
}

async function twoDestinations(...more: readonly string[]): Promise<Place> {
  const place = await databaseBesideStore(null);
  const other = place.at('other');
  await mkdir(other);
  const config = place.at('replicate.yml');
  const urls = [place.url, `file://${other}`, ...more];
  const lines = ['dbs:', `  - path: ${place.database}`, '    replicas:', ...urls.map((url) => `      - url: ${url}`)];
  await writeFile(config, `${lines.join('\n')}\n`);
  return { ...place, other, otherUrl: `file://${other}`, config };
}

/** Replicates a copy of a vector, cut after so many segments, to one destination. */
async function replicate(
  place: Place,
  url: string,
  {
    vector = 'v2-small',
    segments = 9,
  }: { readonly vector?: 'v2-small' | 'v2-batched/v1'; readonly segments?: number } = {},
): Promise<void> {
  const source = place.at('source');
  copyVector(vector, source);
  const clog = join(source, 'clog');
  const names = (await readdir(clog)).filter((name) => name.endsWith('.stdb.log')).sort();
  for (const name of names.slice(segments)) await rm(join(clog, name));
  await runWell(['replicate', '-once', source, url]);
  await rm(source, { recursive: true });
}

const lastOf = async (directory: string): Promise<bigint | undefined> =>
  (await readRecordedLog(directory)).at(-1)?.last;
const restoreArgs = ({ config, database }: Place): string[] => ['restore', '-config', config, database];

describe('the furthest', () => {
  test.each(['the first', 'the second'])('is taken: %s', async (which) => {
    await using place = await twoDestinations();
    const urls = [place.url, place.otherUrl];
    const [longer = '', shorter = ''] = which === 'the first' ? urls : urls.reverse();
    await replicate(place, longer);
    await replicate(place, shorter, { segments: 1 });
    const { stderr } = await runWell(restoreArgs(place));
    expect(await lastOf(place.database)).toBe(299n);
    expect(stderr).toContain(longer);
  });

  test('is taken where the other one is empty; both empty is no backup', async () => {
    await using place = await twoDestinations();
    await runBadly(restoreArgs(place), { code: 10, says: [/no backup/] });
    await runWell([...restoreArgs(place), '-if-replica-exists']);
    await replicate(place, place.otherUrl);
    await runWell([...restoreArgs(place), '-if-replica-exists']);
    expect(await lastOf(place.database)).toBe(299n);
  });
});

test('a point that the furthest does not hold comes from one that does, aloud', async () => {
  await using place = await twoDestinations();
  const model = new ModelDatabase(place.at('model'));
  await model.append(12);
  await model.append(1, { reducer: 'wipe' });
  await model.append(17);
  await runWell(['replicate', '-once', model.directory, place.otherUrl]);
  const old = await model.log();
  await model.append(20, { rotate: true });
  const between = (await model.log()).at(-5)?.time ?? 0n;
  await model.snapshot();
  await model.append(10, { rotate: true });
  await model.prune(40n);
  await runWell(['replicate', '-once', model.directory, place.url]);

  const { stderr } = await runWell([...restoreArgs(place), '-tx', '10']);
  expect(stderr).toMatch(/same history/);
  expect(stderr).toContain(place.otherUrl);
  expect(await lastOf(place.database)).toBe(10n);
  await rm(place.database, { recursive: true });
  const time = new Date(Number((old[20]?.time ?? 0n) / 1000n)).toISOString();
  await runWell([...restoreArgs(place), '-timestamp', time]);
  expect(await lastOf(place.database)).toBe(20n);
  await rm(place.database, { recursive: true });
  await runWell([...restoreArgs(place), '-tx', '55']);
  expect(await lastOf(place.database)).toBe(55n);
  await rm(place.database, { recursive: true });
  // Neither knows what was between the end of the one and the beginning of the other.
  const lost = new Date(Number(between / 1000n)).toISOString();
  await runBadly([...restoreArgs(place), '-timestamp', lost], { code: 15, says: [/not taken/, /-tx 49/] });
  await runBadly([...restoreArgs(place), '-before-reducer', 'wipe'], { code: 15, says: [/not taken/, /wipe/] });
  await runBadly([...restoreArgs(place), '-tx', '40'], { code: 15, says: [/nor can another destination/, /-tx 49/] });
});

test('two histories are told, both are named, and a URL chooses', async () => {
  await using place = await twoDestinations();
  await replicate(place, place.url);
  await replicate(place, place.otherUrl, { vector: 'v2-batched/v1' });
  await runBadly(restoreArgs(place), { code: 15, says: [new RegExp(place.url), new RegExp(place.otherUrl), /hint/] });
  expect(existsSync(place.database)).toBe(false);
  await runWell(['restore', '-o', place.database, place.otherUrl]);
  expect(await lastOf(place.database)).toBe(119n);
});

test('one that cannot be asked stops the restore: 75, also with -if-replica-exists', async () => {
  const away = `s3://bucket/db?endpoint=http://127.0.0.1:${await freePort()}&region=us-east-1`;
  await using place = await twoDestinations(away);
  await replicate(place, place.url);
  const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
  const args = [...restoreArgs(place), '-give-up-after', '1s', '-if-replica-exists'];
  await runBadly(args, { code: 75, says: [/how far s3:\/\/bucket/, new RegExp(place.otherUrl)], env });
  expect(existsSync(place.database)).toBe(false);
});

test('a generation is one of one destination', async () => {
  await using place = await twoDestinations();
  await runBadly([...restoreArgs(place), '-generation', '1'], { code: 2, says: [/-generation/, /hint/] });
});

describe('of a whole server', () => {
  test('the one that is ahead in every database is taken; crossed ones are told', async () => {
    await using place = await twoDestinations();
    const source = place.at('source');
    copyVector('server-2.8', source);
    await runWell(['replicate', '-once', source, place.url]);
    await cp(place.store, place.other, { recursive: true });
    await rm(join(place.other, 'replicas', '1'), { recursive: true });
    await mkdir(join(place.other, 'replicas', '1'));
    const last = join(vectorDirectory('server-2.8'), 'replicas', '1', 'clog');
    const names = (await readdir(last)).filter((name) => name.endsWith('.stdb.log')).sort();
    // The other destination lags in one database.
    await rm(join(source, 'replicas', '1', 'clog', names.at(-1) ?? ''));
    await runWell(['replicate', '-once', join(source, 'replicas', '1'), `${place.otherUrl}/replicas/1`]);
    const { stderr } = await runWell([...restoreArgs(place)]);
    expect(stderr).toContain(place.url);
    expect(await lastOf(join(place.database, 'replicas', '1'))).toBe(67n);

    // And the first one in the other database.
    await rm(join(place.store, 'replicas', '3'), { recursive: true });
    await rm(place.database, { recursive: true });
    await runBadly([...restoreArgs(place), '-partial'], {
      code: 15,
      says: [/neither/, /replica 1/, /replica 3/, new RegExp(place.otherUrl)],
    });
    await runWell([...restoreArgs(place), '-replica-id', '3']);
    expect(await lastOf(join(place.database, 'replicas', '3'))).toBe(8n);
  });
});
