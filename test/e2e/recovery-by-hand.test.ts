/**
 * Invariant: what the program stores can be got back without it, by the commands of FORMAT.md as they stand there: after
 * kills too, when the log lies in several generations.
 */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { databaseBesideStore, type DatabaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { testNeeding } from '../support/named-skip.ts';
import { startProgram } from '../support/program.ts';
import { type RecordedDatabase, commitsOf, readDatabase } from '../support/recorded-database.ts';
import { readStored } from '../support/stored-log.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';

const page = readFileSync(new URL('../../src/layout/FORMAT.md', import.meta.url), 'utf8');
const section = page.split('## Recovery by hand')[1] ?? '';
const script = [...section.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join('');

function missingTool(): string | null {
  for (const tool of ['bash', 'awk', 'jq', 'zstd', 'dd', 'od', 'truncate']) {
    if (spawnSync('which', [tool]).status !== 0) return `${tool} is not installed`;
  }
  return null;
}

const maybe = testNeeding({ missing: missingTool(), requiredBy: 'STDB_TEST_BY_HAND' });
const TIMEOUT_MS = 120_000;

async function recover(place: DatabaseBesideStore): Promise<RecordedDatabase> {
  const env = { PATH: process.env['PATH'], TMPDIR: place.path, STORE: place.store, TARGET: place.restored };
  await promisify(execFile)('bash', ['-c', script], { env });
  return readDatabase(place.restored);
}

/** The log is whole from its first commit on, whatever files it lies in; the newest snapshot is there. */
function compare(recovered: RecordedDatabase, source: RecordedDatabase): void {
  const bytesOf = (database: RecordedDatabase): Buffer => Buffer.concat(commitsOf(database).map(({ bytes }) => bytes));
  expect(bytesOf(recovered).equals(bytesOf(source))).toBe(true);
  const newest = source.snapshots.at(-1);
  expect(recovered.snapshots.map(({ tx }) => tx)).toEqual([newest?.tx]);
  expect(recovered.snapshots[0]?.files).toEqual(newest?.files);
}

function judgeByEngine(source: string, recovered: string): void {
  const oracle = process.env['STDB_TEST_ORACLE'];
  if (!oracle) return;
  const [expected, found] = [source, recovered].map(
    (path) => JSON.parse(execFileSync(oracle, ['check', '--dir', path, '--brief'], { encoding: 'utf8' })) as object,
  );
  expect(found).toMatchObject({ ok: true });
  for (const what of ['durable', 'user_hash'] as const)
    expect(Reflect.get(found ?? {}, what)).toBe(Reflect.get(expected ?? {}, what));
}

maybe(
  'a database with compressed segments, from one pass',
  async () => {
    await using place = await databaseBesideStore(null);
    copyVector('server-2.8', place.at('data'));
    const database = place.at('data', 'replicas', '1');
    await runWell(['replicate', '-once', database, place.url]);
    compare(await recover(place), await readDatabase(database));
    judgeByEngine(database, place.restored);
  },
  TIMEOUT_MS,
);

maybe(
  'a database whose writer was killed again and again: the log lies in several generations',
  async () => {
    await using place = await databaseBesideStore(null);
    const source = vectorDirectory('v2-small');
    const recorded = await readDatabase(source);
    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    for (const until of [60n, 120n, 200n]) {
      while (growing.lastTx < until) await growing.writeCommit();
      const program = startProgram(['replicate', place.database, place.url]);
      const last = async (): Promise<bigint | undefined> =>
        (await readStored(place.store)).generations.at(-1)?.objects.at(-1)?.last;
      await program.until(async () => (await last()) === until, `${until} to be stored`);
      program.kill('SIGKILL');
      await program.ended();
    }
    await growing.finish();
    await growing.takeSnapshot(180n);
    await runWell(['replicate', '-once', place.database, place.url]);
    expect((await readStored(place.store)).generations.length).toBe(4);
    // A copy of the store is as good as the store.
    await mkdir(place.at('copy'));
    await cp(place.store, place.at('copy'), { recursive: true });
    compare(await recover({ ...place, store: place.at('copy') }), recorded);
    judgeByEngine(source, place.restored);
  },
  TIMEOUT_MS,
);
