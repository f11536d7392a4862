/**
 * Invariant: a restore gives exactly what was stored or leaves no target behind; what stands in the target stays as it is.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
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
import { runProgram } from '../support/program.ts';
import { readDatabase, readTree } from '../support/recorded-database.ts';
import { listKeys, readStored } from '../support/stored-log.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { copyVector } from '../vectors/vectors.ts';

async function replicated(
  vector: Parameters<typeof databaseBesideStore>[0] = 'v2-small',
): Promise<DatabaseBesideStore> {
  const place = await databaseBesideStore(vector);
  await runWell(['replicate', '-once', place.database, place.url]);
  return place;
}

describe('the target', () => {
  test('that holds anything is left alone', async () => {
    await using place = await replicated();
    await mkdir(place.restored);
    await writeFile(join(place.restored, 'notes.txt'), 'mine');
    const before = await treeFacts(place.restored);
    await runBadly(['restore', '-o', place.restored, place.url], {
      code: 16,
      says: [/restored is not empty: it holds notes\.txt/, /hint: .*-o/],
    });
    // Not a database, so this flag does not help either.
    await runBadly(['restore', '-if-db-not-exists', '-o', place.restored, place.url], {
      code: 16,
      says: [/not empty/],
    });
    expect(await treeFacts(place.restored)).toEqual(before);
  });

  test('that holds a database is left alone, which -if-db-not-exists calls a success', async () => {
    await using place = await replicated();
    const before = await treeFacts(place.database);
    await runBadly(['restore', '-o', place.database, place.url], { code: 16, says: [/not empty/] });
    const { stderr } = await runWell(['restore', '-if-db-not-exists', '-o', place.database, place.url]);
    expect(stderr).toMatch(/already holds a database/);
    expect(await treeFacts(place.database)).toEqual(before);
  });

  test('that is empty is filled', async () => {
    await using place = await replicated();
    await mkdir(place.restored);
    await runWell(['restore', '-if-db-not-exists', '-o', place.restored, place.url]);
    expect((await compareRestored(await readDatabase(place.database), place.restored)).differences).toEqual([]);
  });

  test('by its path in the configuration: in its place, or into -o', async () => {
    await using place = await replicated();
    const recorded = await readDatabase(place.database);
    const config = await writeConfig(place.at('c.yml'), place);
    await runWell(['restore', '-config', config, '-o', place.restored, place.database]);
    expect((await compareRestored(recorded, place.restored)).differences).toEqual([]);
    await rename(place.database, place.at('lost'));
    await runWell(['restore', '-config', config, '-if-db-not-exists', place.database]);
    expect((await compareRestored(recorded, place.database)).differences).toEqual([]);
    // What was restored goes on: the same database, nothing to send.
    const before = await listKeys(place.store);
    await runWell(['replicate', '-once', '-config', config]);
    expect(await listKeys(place.store)).toEqual(before);
    await runBadly(['restore', '-config', config, '/stdb/other'], {
      code: 2,
      says: [/\/stdb\/other/, /hint: .*database/],
    });
  });

  test('without -o for a URL', async () => {
    await using place = await replicated();
    await runBadly(['restore', place.url], { code: 2, says: [/-o is missing/] });
  });

  test('a dry run says what it would do and writes nothing', async () => {
    await using place = await replicated();
    const before = await treeFacts(place.path);
    const { stdout } = await runWell(['restore', '-dry-run', '-json', '-o', place.restored, place.url]);
    expect(JSON.parse(stdout)).toMatchObject({ format: 1, outcome: 'planned', tx: '299', snapshot: '180' });
    expect(await treeFacts(place.path)).toEqual(before);
  });
});

describe('objects that are not what was stored', () => {
  /** Either the right content, or exit 14 and no target. */
  async function rightOrRefused(place: DatabaseBesideStore, what: string): Promise<'right' | 'refused'> {
    const { code, stderr } = await runProgram(['restore', '-o', place.restored, place.url]);
    if (code === 0) {
      expect((await compareRestored(await readDatabase(place.database), place.restored)).differences, what).toEqual([]);
      await rm(place.restored, { recursive: true });
      return 'right';
    }
    expect(code, `${what}\n${stderr}`).toBe(14);
    expect(stderr, what).toMatch(/hint: ./);
    expect(existsSync(place.restored), what).toBe(false);
    expect(
      (await readdir(place.path)).filter((name) => name.includes('restore-')),
      what,
    ).toEqual([]);
    return 'refused';
  }

  test('cut short', { timeout: 120_000 }, async () => {
    await using place = await replicated();
    const [log] = await logKeys(place, 147n);
    for await (const [key, bytes] of cutsOf(place, log)) {
      expect(await rightOrRefused(place, `${key} cut to ${bytes} bytes`)).toBe('refused');
    }
    // Without its snapshot a log that reaches back to 0 is still the whole database: said loudly, and right.
    const recorded = { ...(await readDatabase(place.database)), snapshots: [] };
    for await (const [key] of cutsOf(place, await packKey(place))) {
      const { stderr } = await runWell(['restore', '-o', place.restored, place.url]);
      expect(stderr).toMatch(/warn.*snapshot|snapshot.*180/i);
      expect((await compareRestored(recorded, place.restored)).differences, key).toEqual([]);
      await rm(place.restored, { recursive: true });
    }
    expect(await rightOrRefused(place, 'all is back')).toBe('right');
  });

  test('swapped, and those of another database', async () => {
    await using place = await replicated();
    await using other = await replicated('v1.2');
    const [first] = await logKeys(place, 0n);
    const [second] = await logKeys(place, 147n);
    const [foreign] = await logKeys(other, 0n);
    for (const from of [join(place.store, first), join(other.store, foreign)]) {
      const own = await readFile(join(place.store, second));
      await cp(from, join(place.store, second));
      expect(await rightOrRefused(place, `${from} in the place of ${second}`)).toBe('refused');
      await writeFile(join(place.store, second), own);
    }
  });

  test('gone', async () => {
    await using place = await replicated();
    const [log] = await logKeys(place, 147n);
    await rename(join(place.store, log), place.at('aside'));
    const { code, stderr } = await runProgram(['restore', '-o', place.restored, place.url]);
    // The log reaches to 146 without it: a shorter database than head.json names is a hole, not a success.
    expect(code, stderr).toBe(14);
    expect(existsSync(place.restored)).toBe(false);
  });

  test('foreign keys are no matter', async () => {
    await using place = await replicated();
    await writeFile(join(place.store, 'README.txt'), 'hello');
    await mkdir(join(place.store, 'generations', '00000009-zz'));
    await writeFile(join(place.store, 'generations', '00000009-zz', 'generation.json'), '{}');
    await writeFile(join(place.store, 'packs', 'loose.pack'), 'x');
    expect(await rightOrRefused(place, 'foreign keys')).toBe('right');
  });

  test('a head that is damaged', async () => {
    await using place = await replicated();
    await writeFile(join(place.store, 'head.json'), '{"format":1}');
    await runBadly(['restore', '-o', place.restored, place.url], { code: 14, says: [/head\.json/, /hint/] });
    await runBadly(['replicate', '-once', place.database, place.url], { code: 14, says: [/head\.json/, /"hint"/] });
  });

  test('a format of the future', async () => {
    await using place = await replicated();
    await writeFile(join(place.store, 'format.json'), '{"format":2,"kind":"database","crc":"00000000"}\n');
    const { code, stderr } = await runProgram(['restore', '-o', place.restored, place.url]);
    expect([1, 14], stderr).toContain(code);
    expect(stderr).toMatch(/format\.json/);
    expect(existsSync(place.restored)).toBe(false);
  });
});

test('a log that ends in a segment of version 0 is restored, and the operator is told', async () => {
  await using place = await databaseBesideStore(null);
  copyVector('v2-batched/v0-last-too', place.database);
  await runWell(['replicate', '-once', place.database, place.url]);
  const { stderr } = await runWell(['restore', '-o', place.restored, place.url]);
  expect(stderr).toMatch(/written as version 1/);

  // A writer that follows the restored database branches off before the rewritten segment, and nothing is lost.
  const again = join(place.path, 'again');
  const gone = await runWell(['replicate', '-once', place.restored, place.url]);
  expect(gone.stderr).toMatch(/rolled-back.* at 96 /);
  await runWell(['restore', '-o', again, place.url]);
  expect(await readTree(again)).toEqual(await readTree(place.restored));
  await runWell(['restore', '-generation', '1', '-o', join(place.path, 'before'), place.url]);
  expect(await readTree(join(place.path, 'before'))).toEqual(await readTree(place.restored));
});

/** Keys of the log objects that hold commits of a segment. */
async function logKeys(place: DatabaseBesideStore, segment: bigint): Promise<[string, ...string[]]> {
  const { generations } = await readStored(place.store);
  const keys = generations.flatMap(({ objects }) => objects).filter((object) => BigInt(object.segment) === segment);
  const [first, ...others] = keys.map(({ key }) => key);
  if (first === undefined) throw new Error(`no log object of segment ${segment}`);
  return [first, ...others];
}

/** Cuts an object to one length after another, and puts it back at the end. */
async function* cutsOf({ store }: DatabaseBesideStore, key: string): AsyncGenerator<[key: string, bytes: number]> {
  const whole = await readFile(join(store, key));
  for (const bytes of [0, 1, whole.byteLength >> 1, whole.byteLength - 1]) {
    await writeFile(join(store, key), whole.subarray(0, bytes));
    yield [key, bytes];
  }
  await writeFile(join(store, key), whole);
}

async function packKey(place: DatabaseBesideStore): Promise<string> {
  const key = (await readStored(place.store)).packs[0]?.key;
  if (key === undefined) throw new Error('no pack');
  return key;
}
