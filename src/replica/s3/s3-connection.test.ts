/** Invariants: credentials and region come from where the SDK's own tools take them; what is missing is named. */
import { writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { httpAnswer, rawHttpServer, s3ErrorAnswer } from '../../../test/support/raw-http-server.ts';
import { failure, withServer } from '../../../test/support/scripted-s3.ts';
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts';
import { ConfigurationError } from '../../core/errors.ts';
import { UnauthorizedError, UnavailableError } from '../replica-client.ts';
import { S3ReplicaClient } from './s3-replica-client.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('credentials and region', () => {
  const withoutAnything = (): void => {
    for (const name of [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_PROFILE',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
    ])
      vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  };
  const bare = { bucket: 'bucket', prefix: '', requestTimeoutMs: 20_000 };

  test('no credentials anywhere', async () => {
    withoutAnything();
    await using client = await S3ReplicaClient.open({ ...bare, endpoint: 'http://127.0.0.1:1' });
    const error = await failure(client.head('a'));
    expect(error).toBeInstanceOf(UnauthorizedError);
    expect(error.hint).toContain('AWS_ACCESS_KEY_ID');
  });

  test('credentials and region from the environment', async () => {
    withoutAnything();
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'from-env');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'x');
    vi.stubEnv('AWS_REGION', 'eu-west-3');
    const signed: string[] = [];
    await using server = await rawHttpServer((socket, { head }) => {
      signed.push(/Credential=([^,]*)/i.exec(head)?.[1] ?? '');
      socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } }));
    });
    await using client = await S3ReplicaClient.open({ ...bare, endpoint: server.endpoint });
    await client.head('a');
    await client.put('a', Buffer.from('x'));
    for (const scope of signed) expect(scope).toMatch(/^from-env\/\d+\/eu-west-3\/s3\//);
    expect(signed).toHaveLength(2);
  });

  test('keys that were refused are read anew from the profile, where somebody may have changed them', async () => {
    withoutAnything();
    await using place = await temporaryDirectory();
    const path = place.at('credentials');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', path);
    const writeKey = (id: string) => writeFile(path, `[default]\naws_access_key_id=${id}\naws_secret_access_key=x\n`);
    await writeKey('rotated-away');
    const used: (string | undefined)[] = [];
    await using server = await rawHttpServer((socket, { head }) => {
      const id = /Credential=([^/]*)/i.exec(head)?.[1];
      used.push(id);
      const known = id === 'the-new-one';
      socket.write(
        known
          ? httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } })
          : s3ErrorAnswer('403 Forbidden', 'InvalidAccessKeyId'),
      );
    });
    await using client = await S3ReplicaClient.open({ ...bare, endpoint: server.endpoint });
    expect(await failure(client.put('a', Buffer.from('x')))).toBeInstanceOf(UnauthorizedError);
    expect(await failure(client.put('a', Buffer.from('x')))).toBeInstanceOf(UnauthorizedError);
    await writeKey('the-new-one');
    await client.put('a', Buffer.from('x'));
    await client.put('a', Buffer.from('x'));
    expect(used).toEqual(['rotated-away', 'rotated-away', 'the-new-one', 'the-new-one']);
  });

  test('no region: us-east-1 with an endpoint, a configuration error without', async () => {
    withoutAnything();
    const seen: string[] = [];
    await using server = await rawHttpServer((socket, { head, line }) => {
      seen.push(line, /Credential=([^,]*)/i.exec(head)?.[1] ?? '');
      socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } }));
    });
    const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
    await using client = await S3ReplicaClient.open({ ...bare, endpoint: server.endpoint, credentials });
    await client.head('a');
    expect(seen[0]).toBe('HEAD /bucket/a HTTP/1.1');
    expect(seen[1]).toContain('/us-east-1/');
    const error = await failure(S3ReplicaClient.open(bare));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.hint).toContain('region=');
  });
});

test('regression: the SDK writes nothing past the log when a streamed body meets a failing store', async () => {
  const said = vi.spyOn(console, 'warn').mockImplementation(() => {});
  // Lists of this length are sent as a stream, uncopied.
  const body = Array.from({ length: 8 }, () => Buffer.alloc(128 * 1024));
  await withServer(
    (socket) => {
      socket.write(s3ErrorAnswer('503 Slow Down', 'SlowDown'));
    },
    async (client) => {
      expect(await failure(client.put('a', body))).toBeInstanceOf(UnavailableError);
    },
  );
  expect(said.mock.calls).toEqual([]);
  said.mockRestore();
});
