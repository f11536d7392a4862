/**
 * Invariant: what a machine, or somebody at it, does to a running service (no more open files, no permission, something
 * else in a file's place, a disk that is gone) costs lag and no commit: when it is mended the service goes on by itself,
 * and a restore equals the source.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import {
  type DatabaseBesideStore,
  databaseBesideStore,
  runWell,
  writeConfig,
} from '../support/database-beside-store.ts';
import { type FaultyStore, faultyS3 } from '../support/faulty-s3.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { testNeeding } from '../support/named-skip.ts';
import { PROGRAM, type RunningProgram, runProgram, startProgram } from '../support/program.ts';
import { type RecordedDatabase, readDatabase } from '../support/recorded-database.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const s3 = await faultyS3();

const NOBODY = 65_534;
const otherUser = process.getuid?.() === 0 ? { uid: NOBODY } : {};

async function whyNotAsNobody(): Promise<string | null> {
  if (process.getuid?.() !== 0) return null;
  const { code } = await runProgram(['version'], otherUser);
  return code === 0 ? null : `a user without rights cannot run ${PROGRAM}`;
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
const always = testNeeding({ missing: null });
const needsPrlimit = s3.testNeeding(hasPrlimit ? null : 'there is no prlimit(1) here');
const needsUser = s3.testNeeding(await whyNotAsNobody());
const needsBucket = s3.testNeeding(s3.directory === null ? 'no S3 server whose buckets are directories here' : null);

interface Scene extends AsyncDisposable {
  readonly place: DatabaseBesideStore;
  /** Null: a `file:` store. */
  readonly store: FaultyStore | null;
  readonly growing: GrowingDatabase;
  readonly program: RunningProgram;
  hasStored(tx: bigint): Promise<void>;
  finish(): Promise<void>;
}

interface SceneOptions {
  /** Default: S3, over a bad line. */
  readonly scheme?: 'file';
  readonly uid?: number;
}

/** A service that has stored a third of a database. */
async function openScene({ scheme, ...user }: SceneOptions = {}): Promise<Scene> {
  const disposables = new AsyncDisposableStack();
  const place = disposables.use(await databaseBesideStore(null));
  const store = scheme === 'file' ? null : disposables.use(await s3.open());
  const { url: destination, env } = store ?? { url: place.url, env: {} };
  const recorded: RecordedDatabase = await readDatabase(vectorDirectory('v2-small'));
  const growing = new GrowingDatabase(place.database, recorded);
  await growing.create();
  while (growing.lastTx < 100n) await growing.writeCommit();
  for (const path of [join(place.database, '..'), place.store]) await chmod(path, 0o777);
  const more = ['owner: game-0', 'levels:', '  - interval: 100ms'];
  const config = await writeConfig(place.at('c.yml'), { ...place, url: destination, more });
  const args = ['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config];
  const program = disposables.use(startProgram(args, { env, ...user }));
  const stored = (tx: bigint): boolean =>
    [...program.stderr.matchAll(/"key":"[^"]*-(\d{20})\.[^"]*\.zst"[^\n]*"msg":"stored"/g)].some(
      ([, last]) => BigInt(last ?? 0) >= tx,
    );
  const hasStored = (tx: bigint): Promise<void> => program.until(() => stored(tx), `transaction ${tx} to be stored`);
  await hasStored(growing.lastTx);
  return {
    place,
    store,
    growing,
    program,
    hasStored,
    async finish() {
      await growing.finish();
      await hasStored(growing.lastTx);
      program.kill('SIGTERM');
      const { code, stderr } = await program.ended();
      expect(code, stderr).toBe(0);
      await runWell(['restore', '-o', place.restored, destination], { env });
      expect((await compareRestored({ ...recorded, snapshots: [] }, place.restored)).differences).toEqual([]);
    },
    [Symbol.asyncDispose]: () => disposables.disposeAsync(),
  };
}

async function writeSome({ growing }: Scene, commits = 30): Promise<void> {
  for (let written = 0; written < commits && !growing.isComplete; written += 1) await growing.writeCommit();
}

describe.concurrent('while the service runs', () => {
  needsPrlimit('it may open no more files', async () => {
    await using scene = await openScene();
    const limit = (files: string): void => {
      execFileSync('prlimit', ['--pid', String(scene.program.pid), `--nofile=${files}:`]);
    };
    limit('5');
    await writeSome(scene, 60);
    await scene.program.says(/EMFILE/);
    await delay(500);
    limit('1024');
    await scene.hasStored(scene.growing.lastTx);
    await scene.finish();
  });

  needsUser('the log may not be read, and then may again', async () => {
    await using scene = await openScene(otherUser);
    const clog = join(scene.place.database, 'clog');
    await chmod(clog, 0o000);
    if (process.getuid?.() === 0) await writeSome(scene);
    await scene.program.says(/EACCES/);
    await delay(500);
    await chmod(clog, 0o755);
    await writeSome(scene);
    await scene.hasStored(scene.growing.lastTx);
    await scene.finish();
  });

  s3.test('a pipe and a directory have the names of segments', async () => {
    await using scene = await openScene();
    const clog = join(scene.place.database, 'clog');
    const pipe = join(clog, '00000000000000000900.stdb.log');
    const directory = join(clog, '00000000000000000901.stdb.log');
    execFileSync('mkfifo', [pipe]);
    await mkdir(directory);
    await writeSome(scene);
    await scene.hasStored(scene.growing.lastTx);
    await rm(pipe);
    await rmdir(directory);
    await scene.finish();
  });

  always('the directory of a file: store is gone, empty, and there again', async () => {
    await using scene = await openScene({ scheme: 'file' });
    const { store } = scene.place;
    await rename(store, `${store}-away`);
    await writeSome(scene);
    await scene.program.says(/"level":"error".*is not a directory that exists/);
    // What lies under a disk that is not mounted: nothing may be written into it.
    await mkdir(store);
    await scene.program.says(/it is another store/);
    expect(await readdir(store)).toEqual([]);
    await rmdir(store);
    await rename(`${store}-away`, store);
    await scene.hasStored(scene.growing.lastTx);
    await scene.finish();
  });

  needsBucket('the bucket is gone, and there again', async () => {
    await using scene = await openScene();
    const bucket = scene.store?.bucket ?? '';
    const buckets = s3.directory ?? '';
    const directory = join(buckets, bucket);
    await rename(directory, join(buckets, '..', bucket));
    await writeSome(scene);
    await scene.program.says(/"level":"error".*NoSuchBucket/);
    await rename(join(buckets, '..', bucket), directory);
    await scene.hasStored(scene.growing.lastTx);
    await scene.finish();
  });
});
