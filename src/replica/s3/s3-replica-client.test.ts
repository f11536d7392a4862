/**
 * Invariants: the contract over real S3 servers, one request or several parts for an object alike; every refusal of a
 * real server is the right error; an upload that does not end well leaves no parts.
 */
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, describe, expect, test } from 'vitest';
import { isServer, type S3Server, s3Servers } from '../../../test/support/s3-server.ts';
import { testNeeding } from '../../../test/support/named-skip.ts';
import { failure } from '../../../test/support/scripted-s3.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import {
  ObjectNotFoundError,
  StoreNotFoundError,
  UnauthorizedError,
  UnsupportedByStoreError,
} from '../replica-client.ts';
import type { S3ReplicaOptions } from './s3-options.ts';
import { S3ReplicaClient } from './s3-replica-client.ts';

const MIB = 1024 * 1024;
const servers = await s3Servers();

afterAll(async () => {
  for (const server of servers) if (isServer(server)) await server.stop();
});

for (const [index, server] of servers.entries()) {
  if (isServer(server)) {
    describe(`S3 at ${server.name}`, { timeout: 60_000 }, () => {
      describeContract(server);
      describeParts(server);
      // moto checks no credentials unless it is told to.
      if (server.name !== 'moto') describeRefusals(server);
    });
  } else
    testNeeding({ missing: server.skip, ...(index === 0 ? { requiredBy: 'STDB_TEST_REQUIRE_S3' } : {}) })(
      `S3: ${server.skip}`,
      () => undefined,
    );
}

function describeContract(server: S3Server): void {
  replicaClientContract({
    test,
    open: async () => open(server, { bucket: await server.makeBucket(), prefix: 'some/prefix' }),
    openMissing: () => open(server, { bucket: 'stdb-test-there-is-no-such-bucket' }),
    largeBytes: 6 * MIB,
  });
}

function describeParts(server: S3Server): void {
  test('without a prefix, keys are at the top of the bucket', async () => {
    const bucket = await server.makeBucket();
    await using client = await open(server, { bucket });
    await client.put('head.json', Buffer.from('x'));
    await using inside = await open(server, { bucket, prefix: 'a' });
    await inside.put('head.json', Buffer.from('y'));
    expect(await listKeys(client)).toEqual(['a/head.json', 'head.json']);
    expect(await listKeys(inside)).toEqual(['head.json']);
  });

  // moto knows no conditions of CompleteMultipartUpload.
  const conditions = server.name === 'moto' ? (['ifAbsent'] as const) : (['ifAbsent', 'ifMatch'] as const);
  test.each(conditions)('a large object too keeps to its condition: %s', async (condition) => {
    await using client = await open(server, { bucket: await server.makeBucket() });
    await client.put('packs/a', Buffer.from('first'));
    const options = condition === 'ifAbsent' ? { ifAbsent: true } : { ifMatch: '"0123456789abcdef0123456789abcdef"' };
    await expect(client.put('packs/a', Buffer.alloc(7 * MIB), options)).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
    expect((await client.head('packs/a')).size).toBe(5);
  });

  test('an upload in parts that is aborted or fails leaves no parts behind', async () => {
    const bucket = await server.makeBucket();
    await using client = await open(server, { bucket });
    const controller = new AbortController();
    const endless = (last: () => void) => ({
      async *open() {
        for (let i = 0; i < 20; i += 1) yield Buffer.alloc(MIB, i);
        last();
        for (;;) yield Buffer.alloc(MIB);
      },
    });
    const aborted = client.put(
      'packs/a',
      endless(() => controller.abort(new Error('stop'))),
      { signal: controller.signal },
    );
    await expect(aborted).rejects.toThrow('stop');
    const broken = client.put(
      'packs/b',
      endless(() => {
        throw new Error('the source broke');
      }),
    );
    await expect(broken).rejects.toThrow('the source broke');
    expect(await unfinishedUploads(server, bucket)).toEqual([]);
    expect(await listKeys(client)).toEqual([]);
  });
}

function describeRefusals(server: S3Server): void {
  const wrong: readonly (readonly [string, Partial<S3ReplicaOptions>])[] = [
    ['an unknown access key', { credentials: { accessKeyId: 'nobody', secretAccessKey: 'x' } }],
    ['a wrong secret', { credentials: { accessKeyId: server.accessKeyId, secretAccessKey: 'wrong' } }],
  ];
  for (const [name, options] of wrong) {
    test.each(['put', 'get', 'head', 'list', 'delete', 'delete many'] as const)(`${name}: %s`, async (operation) => {
      await using client = await open(server, { bucket: await server.makeBucket(), ...options });
      const error = await failure(call(client, operation));
      expect(error).toBeInstanceOf(UnauthorizedError);
      expect(error.hint).toBeTruthy();
    });
  }

  test('a missing bucket is told from a missing key, by HEAD too', async () => {
    await using there = await open(server, { bucket: await server.makeBucket() });
    await using missing = await open(server, { bucket: 'stdb-test-no-bucket-here' });
    expect(await failure(there.head('a'))).toBeInstanceOf(ObjectNotFoundError);
    const error = await failure(missing.head('a'));
    expect(error).toBeInstanceOf(StoreNotFoundError);
    expect(error.hint).toContain('stdb-test-no-bucket-here');
  });

  test('a store that is known to have no conditions is never asked for one', async () => {
    await using client = await open(server, { bucket: await server.makeBucket(), conditional: 'none' });
    expect(await failure(client.put('a', Buffer.from('x'), { ifAbsent: true }))).toBeInstanceOf(
      UnsupportedByStoreError,
    );
  });
}

async function open(
  server: S3Server,
  options: Partial<S3ReplicaOptions> & { bucket: string },
): Promise<S3ReplicaClient> {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  return S3ReplicaClient.open({
    endpoint,
    region: 'us-east-1',
    prefix: '',
    credentials: { accessKeyId, secretAccessKey },
    multipartThresholdBytes: 5 * MIB,
    partBytes: 5 * MIB,
    requestTimeoutMs: 20_000,
    ...options,
  });
}

function call(
  client: S3ReplicaClient,
  operation: 'put' | 'get' | 'head' | 'list' | 'delete' | 'delete many',
): Promise<unknown> {
  switch (operation) {
    case 'put':
      return client.put('a', Buffer.from('x'));
    case 'get':
      return client.get('a');
    case 'head':
      return client.head('a');
    case 'list':
      return listKeys(client);
    case 'delete':
      return client.delete(['a']);
    case 'delete many':
      return client.delete(['a', 'b']);
  }
}

async function listKeys(client: S3ReplicaClient): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of client.list('')) keys.push(key);
  return keys;
}

async function unfinishedUploads(server: S3Server, bucket: string): Promise<unknown[]> {
  const { endpoint, accessKeyId, secretAccessKey } = server;
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  try {
    return (await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads ?? [];
  } finally {
    client.destroy();
  }
}
