/**
 * Invariant: what is restored from the backup of a real directory opens in SpacetimeDB's own engine with the content that
 * the engine found in the source when the set was made, with the rebuilt offset indexes as well as without them, and
 * from the log alone where that reaches back to 0.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram } from '../support/program.ts';
import { s3Place } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';
import { judge, oracleMissing, type Verdict } from './oracle.ts';

const REPLICA_SETS = [
  'v1.2',
  'v2-small',
  'v2-compressed',
  'v2-batched/v1',
  'v2-batched/v0',
  'v2-batched/v0-last-too',
] as const;
const SERVER_REPLICAS = ['1', '3'] as const;

interface Set {
  readonly name: string;
  readonly copy: (target: string) => Promise<string>;
  /** What the engine said of it when it was made. */
  readonly expected: () => Promise<Verdict>;
  /** Whether the same engine wrote it: an older directory gets new system tables when it is opened. */
  readonly sameEngine: boolean;
}

interface Expectations {
  readonly check: Verdict;
  readonly replicas: Readonly<Record<string, { readonly check: Verdict }>>;
}

async function readExpectations(vector: string): Promise<Expectations> {
  const path = join(vectorDirectory(vector as 'v1.2'), '..', 'expect.json');
  return JSON.parse(await readFile(path, 'utf8')) as Expectations;
}

/** The engine refuses a log that ends in version 0. The same database with a last segment of version 1 is beside it. */
const judgedLike = (name: (typeof REPLICA_SETS)[number]): string =>
  name === 'v2-batched/v0-last-too' ? 'v2-batched/v0' : name;

const SETS: readonly Set[] = [
  ...REPLICA_SETS.map(
    (name): Set => ({
      name,
      copy: async (target) => {
        copyVector(name, target);
        return target;
      },
      expected: async () => (await readExpectations(judgedLike(name))).check,
      sameEngine: name !== 'v1.2',
    }),
  ),
  ...SERVER_REPLICAS.map(
    (replica): Set => ({
      name: `server-2.8, replica ${replica}`,
      copy: async (target) => {
        copyVector('server-2.8', target);
        return join(target, 'replicas', replica);
      },
      expected: async () => (await readExpectations('server-2.8')).replicas[replica]?.check as Verdict,
      sameEngine: false,
    }),
  ),
];

const server = oracleMissing === null ? await s3Server() : { skip: oracleMissing };

afterAll(async () => {
  if (isServer(server)) await server.stop();
});

async function backUpAndRestore(
  set: Set,
  { directory, url, env }: { directory: string; url: string; env: Readonly<Record<string, string>> },
): Promise<string> {
  const source = await set.copy(join(directory, 'source'));
  const replicated = await runProgram(['replicate', '-once', source, url], { env });
  expect(replicated.code, replicated.stderr).toBe(0);
  const target = join(directory, 'restored');
  const restored = await runProgram(['restore', '-o', target, url], { env });
  expect(restored.code, restored.stderr).toBe(0);
  return target;
}

async function requireSameContent(set: Set, restored: string): Promise<void> {
  const expected = await set.expected();
  const { ok, durable, identity, user_hash, content_hash } = expected;
  const same = { ok, durable, identity, user_hash, ...(set.sameEngine ? { content_hash } : {}) };
  const found = await judge(restored);
  expect(found).toMatchObject({ ...same, snapshot_used: expected.snapshot_used, warnings: [] });

  const names = await readdir(join(restored, 'clog'));
  expect(names.filter((name) => name.endsWith('.stdb.ofs')).length).toBeGreaterThan(0);
  expect(await judge(restored, { ignoreIndex: true })).toMatchObject(same);
  if (found.first_segment === 0) {
    expect(await judge(restored, { ignoreSnapshots: true })).toMatchObject({ ...same, snapshot_used: null });
  }
}

const onFile = testNeeding({ missing: oracleMissing });
const onS3 = testNeeding({
  missing: oracleMissing ?? (isServer(server) ? null : server.skip),
  ...(oracleMissing === null ? { requiredBy: 'STDB_TEST_REQUIRE_S3' } : {}),
});

describe('the engine opens what is restored', () => {
  for (const set of SETS) {
    onFile(`${set.name}, from file`, async () => {
      await using directory = await temporaryDirectory();
      await mkdir(directory.at('store'));
      const url = `file://${directory.at('store')}`;
      await requireSameContent(set, await backUpAndRestore(set, { directory: directory.path, url, env: {} }));
    });

    onS3(`${set.name}, from S3`, async () => {
      if (!isServer(server)) throw new Error(server.skip);
      await using directory = await temporaryDirectory();
      const place = await s3Place(server);
      await requireSameContent(set, await backUpAndRestore(set, { directory: directory.path, ...place }));
    });
  }
});

test('one set at least reaches back to 0, or the log alone was never judged', async () => {
  const first = await Promise.all(SETS.map(async ({ expected }) => (await expected()).snapshot_used));
  expect(first).toContain(0);
});
