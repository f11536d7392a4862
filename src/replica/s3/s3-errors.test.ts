/**
 * Invariants: each refusal that a store can utter becomes one kind of error, with a hint where somebody can act; what is
 * sent is what every store understands.
 */
import { describe, expect, test } from 'vitest';
import { type Answer, httpAnswer, rawHttpServer, s3ErrorAnswer } from '../../../test/support/raw-http-server.ts';
import { failure, openScripted, withServer } from '../../../test/support/scripted-s3.ts';
import { ConfigurationError } from '../../core/errors.ts';
import {
  ObjectNotFoundError,
  PreconditionFailedError,
  StoreNotFoundError,
  UnauthorizedError,
  UnavailableError,
  UnsupportedByStoreError,
} from '../replica-client.ts';

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
      await client.put('d', [Buffer.alloc(2_000_000, 1), Buffer.alloc(1_000_000, 2)]);
      await client.put('e', Buffer.alloc(3_000_000));
    });
    expect(heads.map((head) => /content-length: (\d+)/.exec(head)?.[1])).toEqual(['5', '6', '0', '3000000', '3000000']);
    for (const head of heads)
      expect(head).not.toMatch(/aws-chunked|x-amz-trailer|transfer-encoding|expect:|unsigned-payload/);
  });

  test('a batch of deletes: failures by key, and what is gone is no failure', async () => {
    const error = (key: string, code: string): string =>
      `<Error><Key>${key}</Key><Code>${code}</Code><Message>m</Message></Error>`;
    const body = `<DeleteResult>${error('p/a', 'AccessDenied')}${error('p/b', 'NoSuchKey')}${error('p/c', 'InternalError')}</DeleteResult>`;
    await using server = await rawHttpServer((socket) => socket.write(httpAnswer({ status: '200 OK', body })));
    await using client = await openScripted(server.endpoint, { prefix: 'p' });
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

describe('when to come again, as the store says it', () => {
  const DATE = 'Sat, 21 Nov 2026 07:00:00 GMT';
  test.each([
    ['503 Slow Down', { 'Retry-After': '7' }, 7000],
    ['429 Too Many Requests', { 'Retry-After': '0' }, 0],
    ['503 Slow Down', { 'Retry-After': 'Sat, 21 Nov 2026 07:01:30 GMT', Date: DATE }, 90_000],
    ['503 Slow Down', { 'Retry-After': 'Sat, 21 Nov 2026 06:00:00 GMT', Date: DATE }, 0],
    // Our own clock is not asked: it may be wrong by hours.
    ['503 Slow Down', { 'Retry-After': 'Sat, 21 Nov 2026 07:01:30 GMT' }, null],
    ['503 Slow Down', { 'Retry-After': 'soon' }, null],
    ['503 Slow Down', {}, null],
  ])('%s %j', async (status, headers, retryAfterMs) => {
    const busy: Answer = (socket) => void socket.write(httpAnswer({ status, headers }));
    await withServer(busy, async (client) => {
      for (const call of [() => client.put('a', Buffer.from('x')), () => client.get('a'), () => client.head('a')]) {
        expect(await failure(call())).toMatchObject({ code: 'STORE_UNAVAILABLE', answered: true, retryAfterMs });
      }
    });
  });
});
