/**
 * Invariant: a source that cannot be replicated is refused with its documented exit code and a message that names it and
 * the remedy; the store then holds nothing that was not proven, and the source is as it was.
 */
import { appendFile, chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DatabaseBesideStore, databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { testNeeding } from '../support/named-skip.ts';
import { PROGRAM, runProgram } from '../support/program.ts';
import { type RecordedDatabase, readDatabase } from '../support/recorded-database.ts';
import { lineOf, listKeys, readHead, readLineSegments, readStored } from '../support/stored-log.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

/** A user that owns nothing: root itself may read everything. */
const NOBODY = 65_534;

async function whyNotAsNobody(): Promise<string | null> {
  if (process.getuid?.() !== 0) return null;
  try {
    const { code } = await runProgram(['version'], { uid: NOBODY, cwd: tmpdir() });
    return code === 0 ? null : `a user without rights cannot run ${PROGRAM}`;
  } catch (error) {
    return `root may not start ${PROGRAM} as another user: ${String(error)}`;
  }
}

const missing = await whyNotAsNobody();
const otherUser = process.getuid?.() === 0 ? { uid: NOBODY } : {};

describe('one pass over what is no database', () => {
  test('a directory that is not there', async () => {
    await using place = await databaseBesideStore(null);
    await runBadly(['replicate', '-once', place.database, place.url], {
      code: 2,
      says: [/database does not exist/, /hint: Check the path/],
    });
    expect(await listKeys(place.store)).toEqual([]);
  });

  test('a directory that is something else', async () => {
    await using place = await databaseBesideStore(null);
    await mkdir(place.database);
    await writeFile(`${place.database}/readme.txt`, 'not a database');
    await runBadly(['replicate', '-once', place.database, place.url], {
      code: 2,
      says: [/database is not a SpacetimeDB database: it has no clog directory/, /hint: .*replicas\/<id>/],
    });
    expect(await listKeys(place.store)).toEqual([]);
  });

  test('a database without a commit', async () => {
    await using place = await databaseBesideStore(null);
    await mkdir(`${place.database}/clog`, { recursive: true });
    await runBadly(['replicate', '-once', place.database, place.url], {
      code: 2,
      says: [/there is no commit log in .*database/],
    });
    expect(await listKeys(place.store)).toEqual([]);
  });
});

describe('no permission', () => {
  const maybe = testNeeding({ missing });
  for (const hidden of ['clog', 'clog/00000000000000000147.stdb.log', 'snapshots'] as const) {
    maybe(`to read ${hidden}`, async () => {
      await using place = await databaseBesideStore();
      await chmod(place.path, 0o755);
      await chmod(place.store, 0o777);
      await chmod(`${place.database}/${hidden}`, 0o000);
      await runBadly(['replicate', '-once', place.database, place.url], {
        ...otherUser,
        code: 1,
        says: [new RegExp(hidden), /EACCES|permission/i, /"hint":"[^"]*permission/],
      });
      await chmod(`${place.database}/${hidden}`, 0o755);
    });
  }

  maybe('to write is not needed: a foreign, read-only database is replicated', async () => {
    await using place = await databaseBesideStore();
    await chmod(place.path, 0o755);
    await chmod(place.store, 0o777);
    const before = await treeFacts(place.database);
    await runWell(['replicate', '-once', place.database, place.url], otherUser);
    expect(await treeFacts(place.database)).toEqual(before);
  });
});

describe('damage', () => {
  test('a segment of a version that is not known: what stands before it is stored, nothing is guessed', async () => {
    await using place = await databaseBesideStore('v2-damaged/version9');
    const before = await treeFacts(place.database);
    await runBadly(['replicate', '-once', place.database, place.url], {
      code: 1,
      says: [/00000000000000000086\.stdb\.log/, /version 9/, /"hint":"[^"]+"/],
    });
    expect(await treeFacts(place.database)).toEqual(before);
    await runWell(['restore', '-o', place.restored, place.url]);
    const intact = await readDatabase(vectorDirectory('v2-damaged/none'));
    const restored = await readDatabase(place.restored);
    expect(restored.segments.length).toBeGreaterThan(0);
    for (const { name, bytes } of restored.segments) {
      const source = intact.segments.find((segment) => segment.name === name);
      expect(source?.bytes.equals(bytes), name).toBe(true);
    }
  });

  test.each(['torn-tail', 'torn-tail-in-header', 'zero-tail', 'bad-crc-tail', 'header-only-tail'] as const)(
    '%s: the longest valid prefix is stored and restored',
    async (damage) => {
      await using place = await databaseBesideStore(`v2-damaged/${damage}`);
      const before = await treeFacts(place.database);
      const { code, stderr } = await runProgram(['replicate', '-once', place.database, place.url]);
      expect(code, stderr).toBe(0);
      expect(await treeFacts(place.database)).toEqual(before);
      await runWell(['restore', '-o', place.restored, place.url]);
      const restored = await readDatabase(place.restored);
      const intact = await readDatabase(vectorDirectory('v2-damaged/none'));
      for (const { name, bytes } of restored.segments) {
        const source = intact.segments.find((segment) => segment.name === name);
        expect(source?.bytes.subarray(0, bytes.byteLength).equals(bytes), name).toBe(true);
      }
    },
  );

  test('garbage that a crash left at the end of a segment: one pass stores what stands behind it too', async () => {
    await using place = await databaseBesideStore();
    const recorded = await readDatabase(place.database);
    await appendFile(join(place.database, 'clog', `${'0'.repeat(20)}.stdb.log`), Buffer.alloc(100, 'torn'));
    await runWell(['replicate', '-once', place.database, place.url]);
    const stored = await readStored(place.store);
    const line = lineOf(stored, (await readHead(place.store)).generation);
    const unpacked = await readLineSegments(place.store, line);
    for (const { name, bytes } of recorded.segments) {
      expect(unpacked.get(name.slice(0, 20))?.equals(bytes), name).toBe(true);
    }
    await runWell(['restore', '-o', place.restored, place.url]);
    expect((await compareRestored(recorded, place.restored)).differences).toEqual([]);
  });

  test.each(['flip-byte', 'drop-segment'] as const)(
    '%s: a log that is not whole stops the database and says where',
    async (damage) => {
      await using place = await databaseBesideStore(`v2-damaged/${damage}`);
      const { code, stderr } = await runProgram(['replicate', '-once', place.database, place.url]);
      expect(code, stderr).toBe(14);
      expect(stderr).toMatch(/stdb\.log/);
      expect(stderr).toMatch(/"hint":"[^"]+"/);
    },
  );

  /** Both lines give exactly what their databases held: the head's, and by its number the one before. */
  async function expectBothLines(place: DatabaseBesideStore, before: RecordedDatabase, now: string): Promise<void> {
    await runWell(['restore', '-o', place.restored, place.url]);
    expect((await compareRestored(await readDatabase(now), place.restored)).differences).toEqual([]);
    const older = place.at('restored-before');
    await runWell(['restore', '-generation', '1', '-o', older, place.url]);
    expect((await compareRestored(before, older)).differences).toEqual([]);
  }

  test('a log that went on otherwise than what is stored: a new generation branches off, the old one is kept', async () => {
    await using place = await databaseBesideStore('v2-damaged/none');
    await runWell(['replicate', '-once', place.database, place.url]);
    const recorded = await readDatabase(place.database);
    const fork = vectorDirectory('v2-damaged/fork');
    const { stderr } = await runWell(['replicate', '-once', fork, place.url]);
    expect(stderr).toMatch(/"level":"warn".*"reason":"rolled-back".*is no longer the stored one/);
    expect(stderr).toMatch(/restore them with -generation 00000001-/);
    await expectBothLines(place, recorded, fork);
  });

  test('another database in the place of the first: replaced, and the first one is kept', async () => {
    await using place = await databaseBesideStore();
    await runWell(['replicate', '-once', place.database, place.url]);
    const recorded = await readDatabase(place.database);
    const other = place.at('other');
    await cp(vectorDirectory('v1.2'), other, { recursive: true });
    const { stderr } = await runWell(['replicate', '-once', other, place.url]);
    expect(stderr).toMatch(/"level":"warn".*"reason":"replaced".*is another database now, [0-9a-f]{64}/);
    await expectBothLines(place, recorded, other);
  });
});
