/**
 * Invariants: no fault of a network or a server makes a call wait beyond its deadline, gives a shorter body, or is
 * taken for absence; each refusal that a store can utter becomes one kind of error, with a hint where somebody can act.
 */
import { createServer } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../../test/support/free-port.ts';
import {
  type Answer,
  httpAnswer,
  type RawHttpServer,
  rawHttpServer,
  s3ErrorAnswer,
} from '../../../test/support/raw-http-server.ts';
import { ConfigurationError, type ReplicateError } from '../../core/errors.ts';
import {
  ObjectNotFoundError,
  PreconditionFailedError,
  readBody,
  StoreNotFoundError,
  UnauthorizedError,
  UnavailableError,
  UnsupportedByStoreError,
} from '../replica-client.ts';
import type { S3ReplicaOptions } from './s3-options.ts';
import { S3ReplicaClient } from './s3-replica-client.ts';

const SHORT_MS = 300;

afterEach(() => {
  vi.unstubAllEnvs();
});

const open = (endpoint: string, options: Partial<S3ReplicaOptions> = {}): Promise<S3ReplicaClient> =>
  S3ReplicaClient.open({
    bucket: 'bucket',
    prefix: '',
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestTimeoutMs: SHORT_MS,
    ...options,
  });

async function withServer(
  answer: Answer,
  run: (client: S3ReplicaClient, server: RawHttpServer) => Promise<void>,
): Promise<void> {
  await using server = await rawHttpServer(answer);
  await using client = await open(server.endpoint);
  await run(client, server);
}

async function failure(work: Promise<unknown>): Promise<ReplicateError> {
  return work.then(
    () => {
      throw new Error('it succeeded');
    },
    (error: ReplicateError) => error,
  );
}

const listAll = async (client: S3ReplicaClient): Promise<number> => {
  let keys = 0;
  for await (const _ of client.list('')) keys += 1;
  return keys;
};

describe('a server that hangs', () => {
  test.each(['put', 'get', 'head', 'list', 'delete', 'large put'] as const)(
    'that never answers: %s',
    async (operation) => {
      await withServer(
        () => undefined,
        async (client) => {
          const calls = {
            put: () => client.put('a', Buffer.from('x')),
            get: () => client.get('a'),
            head: () => client.head('a'),
            list: () => listAll(client),
            delete: () => client.delete(['a', 'b']),
            'large put': () =>
              client.put('a', {
                open: async function* () {
                  yield Buffer.alloc(20_000_000);
                },
              }),
          };
          expect(await failure(calls[operation]())).toBeInstanceOf(UnavailableError);
        },
      );
    },
  );

  test('that stops in the middle of a body', async () => {
    const stalled: Answer = (socket) =>
      socket.write(
        httpAnswer({ status: '200 OK', headers: { 'Content-Length': 1000, ETag: '"e"' }, body: 'only this' }),
      );
    await withServer(stalled, async (client) => {
      const object = await client.get('a');
      const error = await failure(readBody(object, 1000));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.message).toContain('no byte came');
    });
  });

  test('a slow reader is no slow server', async () => {
    const body = 'x'.repeat(5_000_000);
    await withServer(
      (socket) => socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' }, body })),
      async (client) => {
        const object = await client.get('a');
        let bytes = 0;
        for await (const chunk of object.body) {
          if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, SHORT_MS * 2));
          bytes += chunk.byteLength;
        }
        expect(bytes).toBe(5_000_000);
      },
    );
  });

  test('that stopped reading: a large body does not wait for ever', async () => {
    const server = createServer((socket) => socket.pause());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      await using client = await open(`http://127.0.0.1:${port}`);
      expect(await failure(client.put('a', Buffer.alloc(30_000_000)))).toBeInstanceOf(UnavailableError);
    } finally {
      server.close();
    }
  });

  test('an abort does not wait for the deadline', async () => {
    const controller = new AbortController();
    await withServer(
      () => controller.abort(new Error('stop')),
      async (_, server) => {
        await using patient = await open(server.endpoint, { requestTimeoutMs: 60_000 });
        await expect(patient.get('a', { signal: controller.signal })).rejects.toThrow('stop');
      },
    );
  });
});

describe('a broken answer', () => {
  test('a body that is cut short is an error, never a shorter object', async () => {
    const cut: Answer = (socket) =>
      socket.end(httpAnswer({ status: '200 OK', headers: { 'Content-Length': 1000, ETag: '"e"' }, body: 'only this' }));
    await withServer(cut, async (client) => {
      expect(await failure(readBody(await client.get('a'), 1000))).toBeInstanceOf(UnavailableError);
    });
  });

  test('a connection that is closed instead of an answer', async () => {
    await withServer(
      (socket) => socket.destroy(),
      async (client) => {
        expect(await failure(client.put('a', Buffer.from('x')))).toBeInstanceOf(UnavailableError);
      },
    );
  });

  test('another part than was asked for', async () => {
    const wrong: Answer = (socket) =>
      socket.write(
        httpAnswer({
          status: '206 Partial Content',
          headers: { ETag: '"e"', 'Content-Range': 'bytes 0-3/10' },
          body: 'abcd',
        }),
      );
    await withServer(wrong, async (client) => {
      expect(await failure(client.get('a', { range: { start: 4, endExclusive: 8 } }))).toBeInstanceOf(
        UnsupportedByStoreError,
      );
    });
  });

  test('all instead of a part', async () => {
    const whole: Answer = (socket) =>
      socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' }, body: 'abcdefgh' }));
    await withServer(whole, async (client) => {
      expect(await failure(client.get('a', { range: { start: 4, endExclusive: 8 } }))).toBeInstanceOf(
        UnsupportedByStoreError,
      );
    });
  });

  test('a page of another program', async () => {
    const page: Answer = (socket) =>
      socket.write(
        httpAnswer({
          status: '404 Not Found',
          headers: { 'Content-Type': 'text/html' },
          body: '<html><p>nginx<br></html>',
        }),
      );
    await withServer(page, async (client) => {
      for (const error of [await failure(client.head('a')), await failure(client.get('a'))]) {
        expect(error).not.toBeInstanceOf(ObjectNotFoundError);
        expect(error.code).toBeTruthy();
      }
    });
  });
});

describe('what a store can say', () => {
  const PLACE = '<Region>eu-central-1</Region>';
  test.each([
    ['404 Not Found', 'NoSuchKey', ObjectNotFoundError, false],
    ['404 Not Found', 'NoSuchBucket', StoreNotFoundError, false],
    ['404 Not Found', 'XAdminUserNotFound', UnauthorizedError, false],
    ['404 Not Found', 'SomethingElse', UnsupportedByStoreError, false],
    ['412 Precondition Failed', 'PreconditionFailed', PreconditionFailedError, false],
    ['409 Conflict', 'ConditionalRequestConflict', UnavailableError, true],
    ['403 Forbidden', 'AccessDenied', UnauthorizedError, false],
    ['403 Forbidden', 'InvalidAccessKeyId', UnauthorizedError, false],
    ['403 Forbidden', 'SignatureDoesNotMatch', UnauthorizedError, false],
    ['400 Bad Request', 'ExpiredToken', UnauthorizedError, false],
    ['401 Unauthorized', 'Whatever', UnauthorizedError, false],
    ['403 Forbidden', 'RequestTimeTooSkewed', UnavailableError, true],
    ['301 Moved Permanently', 'PermanentRedirect', ConfigurationError, false],
    ['400 Bad Request', 'AuthorizationHeaderMalformed', ConfigurationError, false],
    ['503 Slow Down', 'SlowDown', UnavailableError, true],
    ['429 Too Many Requests', 'TooManyRequests', UnavailableError, true],
    ['500 Internal Server Error', 'InternalError', UnavailableError, true],
    ['502 Bad Gateway', 'Whatever', UnavailableError, true],
    ['400 Bad Request', 'RequestTimeout', UnavailableError, true],
    ['501 Not Implemented', 'NotImplemented', UnsupportedByStoreError, false],
    ['400 Bad Request', 'EntityTooLarge', UnsupportedByStoreError, false],
  ])('%s %s', async (status, code, kind, retry) => {
    await withServer(
      (socket) => socket.write(s3ErrorAnswer(status, code, PLACE)),
      async (client) => {
        const error = await failure(client.get('log/a'));
        expect(error).toBeInstanceOf(kind);
        expect(error.shouldRetry()).toBe(retry);
        expect(error.message).toContain('log/a');
        expect(error.message).toContain(code);
        if (kind === ConfigurationError) expect(error.hint).toContain('region=eu-central-1');
        if (kind === UnauthorizedError || kind === StoreNotFoundError) expect(error.hint).toBeTruthy();
      },
    );
  });

  test('a HEAD is told the region by a header', async () => {
    const moved = httpAnswer({ status: '301 Moved Permanently', headers: { 'x-amz-bucket-region': 'ap-south-1' } });
    await withServer(
      (socket) => socket.write(moved),
      async (client) => {
        const error = await failure(client.head('a'));
        expect(error).toBeInstanceOf(ConfigurationError);
        expect(error.hint).toContain('region=ap-south-1');
      },
    );
  });

  test('the client asks once: trying again is for the wrapper', async () => {
    const once: Answer = (socket, { count }) =>
      socket.write(
        count === 1
          ? s3ErrorAnswer('503 Slow Down', 'SlowDown')
          : httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } }),
      );
    await withServer(once, async (client, server) => {
      expect(await failure(client.put('a', Buffer.from('x')))).toBeInstanceOf(UnavailableError);
      expect(server.requests).toHaveLength(1);
      expect(await client.put('a', Buffer.from('x'))).toEqual({ version: '"e"' });
    });
  });

  test('bodies have a Content-Length, and never a trailer or chunks', async () => {
    const heads: string[] = [];
    const keep: Answer = (socket, { head }) => {
      heads.push(head.toLowerCase());
      socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } }));
    };
    await withServer(keep, async (client) => {
      await client.put('a', [Buffer.from('abc'), Buffer.from('de')]);
      await client.put('b', {
        open: async function* () {
          yield Buffer.from('abcdef');
        },
      });
      await client.put('c', Buffer.alloc(0));
    });
    expect(heads.map((head) => /content-length: (\d+)/.exec(head)?.[1])).toEqual(['5', '6', '0']);
    for (const head of heads) expect(head).not.toMatch(/aws-chunked|x-amz-trailer|transfer-encoding/);
  });

  test('a batch of deletes: failures by key, and what is gone is no failure', async () => {
    const error = (key: string, code: string): string =>
      `<Error><Key>${key}</Key><Code>${code}</Code><Message>m</Message></Error>`;
    const body = `<DeleteResult>${error('p/a', 'AccessDenied')}${error('p/b', 'NoSuchKey')}${error('p/c', 'InternalError')}</DeleteResult>`;
    await using server = await rawHttpServer((socket) => socket.write(httpAnswer({ status: '200 OK', body })));
    await using client = await open(server.endpoint, { prefix: 'p' });
    const failures = await client.delete(['a', 'b', 'c', 'd']);
    expect(failures.map(({ key }) => key)).toEqual(['a', 'c']);
    expect(failures[0]?.error).toBeInstanceOf(UnauthorizedError);
    expect(failures[1]?.error).toBeInstanceOf(UnavailableError);
  });

  test('a store that refuses batches is asked key by key, and not for a batch again', async () => {
    const noBatches: Answer = (socket, { line }) =>
      socket.write(
        line.startsWith('POST')
          ? s3ErrorAnswer('400 Bad Request', 'MissingContentMD5')
          : httpAnswer({ status: '204 No Content' }),
      );
    await withServer(noBatches, async (client, server) => {
      expect(await client.delete(['a', 'b', 'c'])).toEqual([]);
      expect(await client.delete(['d', 'e'])).toEqual([]);
      expect(server.requests.map((line) => line.split(' ')[0])).toEqual([
        'POST',
        'DELETE',
        'DELETE',
        'DELETE',
        'DELETE',
        'DELETE',
      ]);
    });
  });
});

describe('no connection', () => {
  test('nothing listens', async () => {
    await using client = await open(`http://127.0.0.1:${await freePort()}`);
    const error = await failure(client.head('a'));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.hint).toContain('Nothing listens there');
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('a name that cannot be resolved', async () => {
    await using client = await open('http://no-such-host.invalid', { requestTimeoutMs: 10_000 });
    expect(await failure(client.head('a'))).toBeInstanceOf(UnavailableError);
  });

  test('https to a server that speaks http', async () => {
    await using server = await rawHttpServer(() => undefined);
    await using client = await open(server.endpoint.replace('http:', 'https:'));
    expect(await failure(client.head('a'))).toBeInstanceOf(UnavailableError);
  });
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
  const bare = { bucket: 'bucket', prefix: '', requestTimeoutMs: 2000 };

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
    expect(signed[0]).toMatch(/^from-env\/\d+\/eu-west-3\/s3\//);
  });

  test('no region: us-east-1 with an endpoint, a configuration error without', async () => {
    withoutAnything();
    const signed: string[] = [];
    await using server = await rawHttpServer((socket, { head, line }) => {
      signed.push(line, /Credential=([^,]*)/i.exec(head)?.[1] ?? '');
      socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } }));
    });
    await using client = await open(server.endpoint);
    await client.head('a');
    expect(signed[0]).toBe('HEAD /bucket/a HTTP/1.1');
    expect(signed[1]).toContain('/us-east-1/');
    const { region: _, ...noRegion } = { ...bare, region: undefined };
    const error = await failure(S3ReplicaClient.open(noRegion));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.hint).toContain('region=');
  });
});
