/**
 * The demo: a real, recorded database grows, the program replicates it as its own process, is killed, starts again, and
 * what is restored is compared with the source. It ends with an account of what happened and what that proves.
 */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Comparison, compareRestored } from '../../test/support/compare-restored.ts';
import { freePort } from '../../test/support/free-port.ts';
import { GrowingDatabase } from '../../test/support/growing-database.ts';
import { runProgram } from '../../test/support/program.ts';
import { commitsOf, type RecordedDatabase, readDatabase } from '../../test/support/recorded-database.ts';
import { lineOf, readHead, readLineSegments, readStored } from '../../test/support/stored-log.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { play, type Played } from './play.ts';
import { bold, bytes, green, milliseconds, proven, quantile, red, row, say, title } from './words.ts';

/** @returns the exit code */
export async function showDemo({ keep }: { keep: boolean }): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'stdb-replicate-demo-'));
  const places = {
    database: join(directory, 'database', 'replicas', '1'),
    store: join(directory, 'store'),
    restored: join(directory, 'restored'),
    config: join(directory, 'replicate.yml'),
  };
  const cleanUp = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      // After the listener that kills the program, or it would go on writing.
      if (!keep) process.once('exit', cleanUp);
      process.exit(1);
    });
  }
  try {
    await perform(places);
    return 0;
  } catch (error) {
    console.error(`\n${red('The demo failed.')} ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    if (keep) console.log(`\nKept: ${directory}`);
    else cleanUp();
  }
}

interface Places {
  readonly database: string;
  readonly store: string;
  readonly restored: string;
  readonly config: string;
}

async function perform({ database, store, restored, config }: Places): Promise<void> {
  title('stdb-replicate: a database that grows, a program that is killed, a restore that is proven');
  const recorded = await readDatabase(vectorDirectory('v2-small'));
  const addr = `127.0.0.1:${await freePort()}`;
  await mkdir(store);
  await writeFile(config, `addr: ${addr}\ndbs:\n  - path: ${database}\n    replica:\n      url: file://${store}\n`);
  say(`a recording of a real database: ${commitsOf(recorded).length} commits, 2 segments, snapshots at 1 and 180`);

  const growing = new GrowingDatabase(database, recorded);
  const played = await play({ recorded, growing, config, addr });

  const since = performance.now();
  const { code, stderr } = await runProgram(['restore', '-o', restored, `file://${store}`]);
  const restoreMs = performance.now() - since;
  if (code !== 0) throw new Error(`restore ended with ${code}:\n${stderr}`);
  say(`restored from the store alone, in ${milliseconds(restoreMs)}`);

  const comparison = await compareRestored(recorded, restored);
  check(comparison.differences, 'what was restored is not the source');
  const overwritten = await compareSource(recorded, database);
  check(overwritten, 'the source was changed');
  await account({ recorded, store, played, restoreMs, comparison });
}

interface Facts {
  readonly recorded: RecordedDatabase;
  readonly store: string;
  readonly played: Played;
  readonly restoreMs: number;
  readonly comparison: Comparison;
}

async function account({ recorded, store, played, restoreMs, comparison }: Facts): Promise<void> {
  const stored = await readStored(store);
  const head = await readHead(store);
  const line = lineOf(stored, head.generation);
  const commits = commitsOf(recorded);
  check(line.faults, 'the stored log is not one unbroken line');
  const sent = stored.generations.flatMap(({ objects }) => objects);
  const transactions = sent.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  check(transactions === BigInt(commits.length) ? [] : [`${transactions} transactions were sent`], 'not each one once');
  check(head.released ? [] : ['head.json is not released'], 'the program did not hand over');
  const unpacked = await readLineSegments(store, line);
  check(
    recorded.segments.flatMap(({ firstTx, name, bytes: expected }) =>
      unpacked.get(firstTx.toString().padStart(20, '0'))?.equals(expected) ? [] : [name],
    ),
    'the stored log objects, unpacked, are not the source',
  );
  const plain = recorded.segments.reduce((sum, segment) => sum + segment.bytes.byteLength, 0);
  const packed = line.objects.reduce((sum, object) => sum + object.bytes, 0);
  const snapshotBytes = stored.packs.reduce((sum, pack) => sum + pack.bytes, 0);
  const snapshots = stored.generations.flatMap((generation) => generation.snapshots);

  title('What happened');
  row(
    'commits',
    `${commits.length}, written in ${played.writes} torn pieces, into ${recorded.segments.length} segments`,
  );
  row(
    'lag',
    `p50 ${milliseconds(quantile(played.lags, 0.5))}, p99 ${milliseconds(quantile(played.lags, 0.99))}, from commit written to commit stored (interval: 1 s)`,
  );
  row('killed', `once, with SIGKILL; ${milliseconds(played.catchUpMs)} after the second start all was caught up`);
  row(
    'objects',
    `${stored.objects} in the store: ${line.objects.length} of log, ${stored.packs.length} packs and ${snapshots.length} manifests of snapshots, in ${stored.generations.length} generations`,
  );
  row('', 'a new generation after the kill: no one can prove that what the killed process had sent will not arrive');
  row(
    'ratio',
    `log ${bytes(plain)} stored as ${bytes(packed)} (${(plain / packed).toFixed(1)} : 1); snapshots in ${bytes(snapshotBytes)}`,
  );
  row('restore', `${milliseconds(restoreMs)} with the program's start, verified and fsynced`);

  title('What was proven');
  proven(
    `all log objects, unpacked, are the source's ${recorded.segments.length} segments, byte for byte (${bytes(plain)})`,
  );
  proven(
    `the restored log equals the source's from the segment of the snapshot's commit on (${bytes(comparison.segmentBytes)})`,
  );
  proven(
    `and the snapshot at ${comparison.snapshotTx}: ${comparison.snapshotFiles} files (${bytes(comparison.snapshotBytes)}); nothing else is there`,
  );
  proven(
    `the kill lost nothing and sent nothing twice: ${line.objects.length} log objects hold each transaction once, without a hole`,
  );
  proven('torn writes, rotation and compression in place were read right, and the source was not changed');
  proven('SIGTERM ended with exit code 0 only after the last commit was stored');

  title('Where to look next');
  row('README.md', 'replicate to S3, restore, configuration, exit codes');
  row('restore', 'stdb-replicate help restore');
  row('by hand', 'src/layout/FORMAT.md: recovery with zstd, jq and dd, without this program');
  row('look', `npm run demo -- ${bold('-keep')} leaves the store for you to read`);
  console.log(`\n${green('All of it held.')}`);
}

/** The database that was written must still hold exactly what the model of the server wrote. */
async function compareSource(recorded: RecordedDatabase, database: string): Promise<string[]> {
  const now = await readDatabase(database);
  return recorded.segments.flatMap(({ name, bytes: expected }, index) =>
    now.segments[index]?.bytes.equals(expected) ? [] : [`${name} holds other bytes`],
  );
}

function check(faults: readonly string[], what: string): void {
  if (faults.length > 0) throw new Error(`${what}:\n  ${faults.join('\n  ')}`);
}
