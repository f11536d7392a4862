/**
 * Invariant: what a machine, or somebody at it, does to a running service (no more open files, no permission, something
 * else in a file's place, a disk that is gone) costs lag and no commit: when it is mended the service goes on by itself,
 * and a restore equals the source.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import {
  type DatabaseBesideStore,
  databaseBesideStore,
  runWell,
  writeConfig,
} from '../support/database-beside-store.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { testNeeding } from '../support/named-skip.ts';
import { PROGRAM, type RunningProgram, runProgram, startProgram } from '../support/program.ts';
import { type RecordedDatabase, readDatabase } from '../support/recorded-database.ts';
import { s3Credentials, s3Url } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const found = await s3Server();
const bucketAsDirectory = isServer(found) ? found.directory : null;

afterAll(async () => {
  if (isServer(found)) await found.stop();
});

const NOBODY = 65_534;
const otherUser = process.getuid?.() === 0 ? { uid: NOBODY } : {};

async function whyNotAsNobody(): Promise<string | null> {
  if (process.getuid?.() !== 0) return null;
  const { code } = await runProgram(['version'], otherUser);
  return code === 0 ? null : `a user without rights cannot run ${PROGRAM}`;
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
const always = testNeeding({ missing: null });
const needsPrlimit = testNeeding({ missing: hasPrlimit ? null : 'there is no prlimit(1) here' });
const needsUser = testNeeding({ missing: await whyNotAsNobody() });
const needsBucket = testNeeding({
  missing: bucketAsDirectory === null ? 'no S3 server whose buckets are directories here' : null,
});

interface Scene extends AsyncDisposable {
  readonly place: DatabaseBesideStore;
  readonly growing: GrowingDatabase;
  readonly program: RunningProgram;
  hasStored(tx: bigint): Promise<void>;
  finish(): Promise<void>;
}

interface SceneOptions {
  readonly url?: string;
  readonly env?: Record<string, string>;
  readonly uid?: number;
}

/** A service that has stored a third of a database. */
async function openScene({ url, env = {}, ...user }: SceneOptions = {}): Promise<Scene> {
  const place = await databaseBesideStore(null);
  const destination = url ?? place.url;
  const recorded: RecordedDatabase = await readDatabase(vectorDirectory('v2-small'));
  const growing = new GrowingDatabase(place.database, recorded);
  await growing.create();
  while (growing.lastTx < 100n) await growing.writeCommit();
  for (const path of [join(place.database, '..'), place.store]) await chmod(path, 0o777);
  const more = ['owner: game-0', 'levels:', '  - interval: 100ms'];
  const config = await writeConfig(place.at('c.yml'), { ...place, url: destination, more });
  const args = ['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config];
  const program = startProgram(args, { env, ...user });
  const stored = (tx: bigint): boolean =>
    [...program.stderr.matchAll(/"key":"[^"]*-(\d{20})\.[^"]*\.zst"[^\n]*"msg":"stored"/g)].some(
      ([, last]) => BigInt(last ?? 0) >= tx,
    );
  const hasStored = (tx: bigint): Promise<void> => program.until(() => stored(tx), `transaction ${tx} to be stored`);
  await hasStored(growing.lastTx);
  return {
    place,
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
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

async function writeSome({ growing }: Scene, commits = 30): Promise<void> {
  for (let written = 0; written < commits && !growing.isComplete; written += 1) await growing.writeCommit();
}

describe('while the service runs', () => {
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

  always('a pipe and a directory have the names of segments', async () => {
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
    await using scene = await openScene();
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
    if (!isServer(found) || bucketAsDirectory === null) throw new Error('no server');
    const bucket = await found.makeBucket();
    await using scene = await openScene({ url: s3Url(found, bucket), env: s3Credentials(found) });
    const directory = join(bucketAsDirectory, bucket);
    await rename(directory, join(bucketAsDirectory, '..', bucket));
    await writeSome(scene);
    await scene.program.says(/"level":"error".*NoSuchBucket/);
    await rename(join(bucketAsDirectory, '..', bucket), directory);
    await scene.hasStored(scene.growing.lastTx);
    await scene.finish();
  });
});
