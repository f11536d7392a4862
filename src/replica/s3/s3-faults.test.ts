/**
 * Invariants: no fault of a network or a server makes a call wait beyond its deadline, gives a shorter body, or is
 * taken for absence.
 */
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../../test/support/free-port.ts';
import { type Answer, httpAnswer } from '../../../test/support/raw-http-server.ts';
import { failure, openScripted, SHORT_MS, withServer } from '../../../test/support/scripted-s3.ts';
import { ObjectNotFoundError, readBody, UnavailableError, UnsupportedByStoreError } from '../replica-client.ts';
import type { S3ReplicaClient } from './s3-replica-client.ts';

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
        { requestTimeoutMs: SHORT_MS },
      );
    },
  );

  test('that stops in the middle of a body', async () => {
    const stalled: Answer = (socket) =>
      socket.write(
        httpAnswer({ status: '200 OK', headers: { 'Content-Length': 1000, ETag: '"e"' }, body: 'only this' }),
      );
    await withServer(
      stalled,
      async (client) => {
        const object = await client.get('a');
        const error = await failure(readBody(object, 1000));
        expect(error).toBeInstanceOf(UnavailableError);
        expect(error.message).toContain('no byte came');
      },
      { requestTimeoutMs: SHORT_MS * 4 },
    );
  });

  test('a slow reader is no slow server', async () => {
    const body = 'x'.repeat(5_000_000);
    await withServer(
      (socket) => socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' }, body })),
      async (client) => {
        const object = await client.get('a');
        let bytes = 0;
        for await (const chunk of object.body) {
          if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, SHORT_MS * 6));
          bytes += chunk.byteLength;
        }
        expect(bytes).toBe(5_000_000);
      },
      { requestTimeoutMs: SHORT_MS * 4 },
    );
  });

  test('that stopped reading: a large body does not wait for ever', async () => {
    const server = createServer((socket) => socket.pause());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      await using client = await openScripted(`http://127.0.0.1:${port}`, { requestTimeoutMs: SHORT_MS });
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
        await using patient = await openScripted(server.endpoint, { requestTimeoutMs: 60_000 });
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

  test('a listing that never gets on', async () => {
    const again: Answer = (socket, { count }) => {
      if (count > 20) return void socket.destroy();
      const body =
        '<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t' +
        '</NextContinuationToken><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>';
      socket.write(httpAnswer({ status: '200 OK', headers: { 'Content-Type': 'application/xml' }, body }));
    };
    await withServer(again, async (client, { requests }) => {
      expect(await failure(listAll(client))).toBeInstanceOf(UnsupportedByStoreError);
      expect(requests).toHaveLength(2);
    });
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

describe('no connection', () => {
  test('nothing listens', async () => {
    await using client = await openScripted(`http://127.0.0.1:${await freePort()}`);
    const error = await failure(client.head('a'));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.hint).toContain('Nothing listens there');
    expect(error.message).toContain('ECONNREFUSED');
  });

  test('a name that cannot be resolved', async () => {
    await using client = await openScripted('http://no-such-host.invalid', { requestTimeoutMs: 10_000 });
    expect(await failure(client.head('a'))).toBeInstanceOf(UnavailableError);
  });

  test('https to a server that speaks http', async () => {
    const server = createServer((socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      await using client = await openScripted(`https://127.0.0.1:${port}`);
      const error = await failure(client.head('a'));
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error.hint).toContain('http or https');
    } finally {
      server.close();
    }
  });
});
