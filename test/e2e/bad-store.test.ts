/**
 * Invariant: a store that is absent, refuses us, does not answer or belongs to somebody else is told apart by exit code
 * and message; none is ever taken for an empty one, and nothing in it is changed.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { databaseBesideStore, runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { testNeeding } from '../support/named-skip.ts';
import { httpAnswer, rawHttpServer } from '../support/raw-http-server.ts';
import { s3Credentials, s3Place, s3Url } from '../support/s3-place.ts';
import { isServer, s3Server, type S3Server } from '../support/s3-server.ts';
import { treeFacts } from '../support/tree-facts.ts';

const found = await s3Server();
const maybe = testNeeding({ missing: isServer(found) ? null : found.skip, requiredBy: 'STDB_TEST_REQUIRE_S3' });

afterAll(async () => {
  if (isServer(found)) await found.stop();
});

/** Not asked for where the test is skipped. */
const server = (): S3Server => {
  if (!isServer(found)) throw new Error(found.skip);
  return found;
};

const ANY_CREDENTIALS = { AWS_ACCESS_KEY_ID: 'somebody', AWS_SECRET_ACCESS_KEY: 'something' };

describe('S3', () => {
  maybe('wrong credentials', async () => {
    await using place = await databaseBesideStore();
    const { url } = await s3Place(server());
    const env = { ...s3Credentials(server()), AWS_SECRET_ACCESS_KEY: 'wrong' };
    const says = [/stdb-test-[0-9a-f]+/, /credentials|SignatureDoesNotMatch|access/i, /hint/];
    await runBadly(['replicate', '-once', place.database, url], { env, code: 1, says });
    await runBadly(['restore', '-o', place.restored, url], { env, code: 1, says });
    await runBadly(['restore', '-if-replica-exists', '-o', place.restored, url], { env, code: 1, says });
  });

  maybe('no bucket', async () => {
    await using place = await databaseBesideStore();
    const env = s3Credentials(server());
    const url = s3Url(server(), 'stdb-test-there-is-none');
    const says = [/stdb-test-there-is-none/, /hint/];
    await runBadly(['replicate', '-once', place.database, url], { env, code: 2, says });
    await runBadly(['restore', '-o', place.restored, url], { env, code: 2, says });
    await runBadly(['restore', '-if-replica-exists', '-o', place.restored, url], { env, code: 2, says });
  });

  maybe('a prefix under which nothing was ever stored', async () => {
    await using place = await databaseBesideStore();
    const { url, env } = await s3Place(server());
    await runBadly(['restore', '-o', place.restored, url], { env, code: 10, says: [/there is no backup/, /hint/] });
    await runWell(['restore', '-if-replica-exists', '-o', place.restored, url], { env });
  });
});

test('credentials that are not there at all', async () => {
  await using place = await databaseBesideStore();
  const url = `s3://bucket/prefix?endpoint=http://127.0.0.1:${await freePort()}&region=us-east-1`;
  await runBadly(['replicate', '-once', place.database, url], {
    code: 1,
    says: [/no credentials/, /AWS_ACCESS_KEY_ID/],
  });
});

describe('a store that cannot be reached', () => {
  const once = (database: string, url: string): string[] => [
    'replicate',
    '-once',
    '-give-up-after',
    '1s',
    database,
    url,
  ];

  test('nothing listens', async () => {
    await using place = await databaseBesideStore();
    const port = await freePort();
    const url = `s3://bucket/prefix?endpoint=http://127.0.0.1:${port}&region=us-east-1`;
    const expected = { env: ANY_CREDENTIALS, code: 75, says: [/ECONNREFUSED/, new RegExp(String(port)), /hint/] };
    await runBadly(once(place.database, url), expected);
    await runBadly(['restore', '-give-up-after', '1s', '-o', place.restored, url], expected);
    await runBadly(['restore', '-give-up-after', '1s', '-if-replica-exists', '-o', place.restored, url], expected);
  });

  test('only errors of the server', async () => {
    await using place = await databaseBesideStore();
    await using failing = await rawHttpServer((socket) => socket.end(httpAnswer({ status: '503 Slow Down' })));
    const url = `s3://bucket/prefix?endpoint=${failing.endpoint}&region=us-east-1&forcePathStyle=true`;
    await runBadly(once(place.database, url), { env: ANY_CREDENTIALS, code: 75, says: [/503/] });
    expect(failing.requests.length).toBeGreaterThan(1);
  });
});

describe('a root directory', () => {
  test('that is absent is never taken for an empty backup', async () => {
    await using place = await databaseBesideStore();
    const url = `file://${place.at('unmounted')}`;
    const says = [/unmounted/, /Mount the disk/];
    await runBadly(['replicate', '-once', place.database, url], { code: 2, says });
    await runBadly(['restore', '-o', place.restored, url], { code: 2, says });
    await runBadly(['restore', '-if-replica-exists', '-o', place.restored, url], { code: 2, says });
  });

  test('that is empty', async () => {
    await using place = await databaseBesideStore();
    await runBadly(['restore', '-o', place.restored, place.url], {
      code: 10,
      says: [new RegExp(`there is no backup in ${place.url}`)],
    });
    await runWell(['restore', '-if-replica-exists', '-o', place.restored, place.url]);
  });
});

test("another owner's backup is left alone, released or not, and the owner is named", async () => {
  await using place = await databaseBesideStore();
  const ours = await writeConfig(place.at('a.yml'), { ...place, more: ['owner: production'] });
  const theirs = await writeConfig(place.at('b.yml'), { ...place, more: ['owner: staging'] });
  await runWell(['replicate', '-once', '-config', ours]);
  const before = await treeFacts(place.store);
  await runBadly(['replicate', '-once', '-config', theirs], { code: 11, says: [/owner production/, /prefix/] });
  expect(await treeFacts(place.store)).toEqual(before);
  await runWell(['replicate', '-once', '-config', ours]);
});
