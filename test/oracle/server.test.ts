/**
 * Invariant: a whole server that was replicated and restored opens in SpacetimeDB's own engine, database by database, with
 * the content that it had, and its control database is the same, byte for byte.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram } from '../support/program.ts';
import { readTree } from '../support/recorded-database.ts';
import { s3Place } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';
import { judge, oracleMissing, type Verdict } from './oracle.ts';

const server = oracleMissing === null ? await s3Server() : { skip: oracleMissing };
afterAll(async () => {
  if (isServer(server)) await server.stop();
});

interface Expectations {
  readonly replicas: Readonly<Record<string, { readonly check: Verdict }>>;
}

async function throughStore(url: string, env: Readonly<Record<string, string>>): Promise<void> {
  await using directory = await temporaryDirectory();
  const source = directory.at('data');
  const target = directory.at('restored');
  copyVector('server-2.8', source);
  for (const args of [
    ['replicate', '-once', source, url],
    ['restore', '-o', target, url],
  ]) {
    const { code, stderr } = await runProgram(args, { env });
    expect(code, stderr).toBe(0);
  }
  const expected = JSON.parse(
    await readFile(join(vectorDirectory('server-2.8'), '..', 'expect.json'), 'utf8'),
  ) as Expectations;
  expect(await readdir(join(target, 'replicas'))).toEqual(Object.keys(expected.replicas));
  for (const [id, { check }] of Object.entries(expected.replicas)) {
    const { ok, durable, identity, user_hash, snapshot_used } = check;
    const found = await judge(join(target, 'replicas', id));
    expect(found, id).toMatchObject({ ok, durable, identity, user_hash, snapshot_used, warnings: [] });
  }
  for (const part of ['control-db', 'program-bytes']) {
    const [was, is] = await Promise.all([readTree(join(source, part)), readTree(join(target, part))]);
    expect(was.size).toBeGreaterThan(0);
    expect(new Set(is.keys())).toEqual(new Set(was.keys()));
    for (const [path, bytes] of was) expect(is.get(path)?.equals(bytes), path).toBe(true);
  }
}

const onS3 = testNeeding({
  missing: oracleMissing ?? (isServer(server) ? null : server.skip),
  ...(oracleMissing === null ? { requiredBy: 'STDB_TEST_REQUIRE_S3' } : {}),
});

describe('the engine opens every database of a restored server', () => {
  testNeeding({ missing: oracleMissing })('from file', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.at('store'));
    await throughStore(`file://${directory.at('store')}`, {});
  });

  onS3('from S3', async () => {
    if (!isServer(server)) throw new Error(server.skip);
    const { url, env } = await s3Place(server);
    await throughStore(url, env);
  });
});
