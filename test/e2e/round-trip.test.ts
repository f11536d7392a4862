/**
 * Invariant: for every real directory, what one pass stores is what a restore gives back, byte for byte, whatever the
 * store; and nobody who only reads leaves a trace in the source, even where it could not be written.
 */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { isServer, s3Servers } from '../support/s3-server.ts';
import { s3Place } from '../support/s3-place.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { copyVector, type VectorName } from '../vectors/vectors.ts';

const SETS = [
  'v1.2',
  'v2-small',
  'v2-compressed',
  'v2-batched/v1',
  'v2-batched/v0',
  'server-2.8/replicas/1',
  'server-2.8/replicas/3',
] as const;
type SetName = (typeof SETS)[number];

interface Place {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
}

const [first, second] = await s3Servers();

afterAll(async () => {
  for (const server of [first, second]) if (server && isServer(server)) await server.stop();
});

/** Copies a set, makes it read-only, and gives the directory of its database. */
async function readOnlyCopy(name: SetName, target: string): Promise<string> {
  const [vector, ...inside] = name.startsWith('server-2.8/') ? name.split('/') : [name];
  copyVector(vector as VectorName, target);
  for (const path of await readdir(target, { recursive: true })) {
    const full = join(target, path);
    await chmod(full, (await stat(full)).isDirectory() ? 0o555 : 0o444);
  }
  return join(target, ...inside);
}

/** Directories may be removed again. */
async function makeWritable(target: string): Promise<void> {
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
}

async function roundTrip(name: SetName, open: (directory: string) => Promise<Place>): Promise<void> {
  await using directory = await temporaryDirectory();
  const source = await readOnlyCopy(name, directory.at('source'));
  const before = await treeFacts(source);
  const recorded = await readDatabase(source);
  const { url, env } = await open(directory.path);

  const replicated = await runProgram(['replicate', '-once', source, url], { env });
  expect(replicated, replicated.stderr).toMatchObject({ code: 0, stdout: '' });
  expect(await treeFacts(source)).toEqual(before);

  const target = directory.at('restored');
  const restored = await runProgram(['restore', '-o', target, url], { env });
  expect(restored, restored.stderr).toMatchObject({ code: 0 });
  const { differences, segments } = await compareRestored(recorded, target);
  expect(differences).toEqual([]);
  expect(segments).toBeGreaterThan(0);
  judgeByEngine(source, target, { sameHash: !name.startsWith('v1') && !name.startsWith('server') });
  await makeWritable(directory.at('source'));
}

/** Where SpacetimeDB's own engine is at hand, it must find the same rows in both. */
function judgeByEngine(source: string, restored: string, { sameHash }: { sameHash: boolean }): void {
  const oracle = process.env['STDB_TEST_ORACLE'];
  if (!oracle) return;
  const [expected, found] = [source, restored].map((path) => {
    const { stdout, stderr } = spawnSync(oracle, ['check', '--dir', path, '--brief'], { encoding: 'utf8' });
    return JSON.parse(stdout.trim().split('\n').at(-1) || JSON.stringify({ error: stderr })) as Record<string, unknown>;
  });
  expect(found).toMatchObject({ ok: true, durable: expected?.['durable'], user_hash: expected?.['user_hash'] });
  // An engine that is newer than the directory adds a transaction of its own.
  if (sameHash) expect(found?.['content_hash']).toBe(expected?.['content_hash']);
}

describe('file store', () => {
  test.each(SETS)('%s', (name) =>
    roundTrip(name, async (directory) => {
      await mkdir(join(directory, 'store'));
      return { url: `file://${directory}/store`, env: {} };
    }),
  );
});

for (const [server, requiredBy] of [
  [first, 'STDB_TEST_REQUIRE_S3'],
  [second, ''],
] as const) {
  if (server === undefined) continue;
  const label = isServer(server) ? server.name : requiredBy === '' ? 'no second S3 server' : 'S3';
  const maybe = testNeeding({
    missing: isServer(server) ? null : server.skip,
    ...(requiredBy === '' ? {} : { requiredBy }),
  });
  describe(`S3 store (${label})`, () => {
    for (const name of SETS) {
      maybe(name, () => roundTrip(name, () => (isServer(server) ? s3Place(server) : Promise.reject(new Error(label)))));
    }
  });
}
