/**
 * Invariants: an upload over a line of any speed gets through some time, and not at the cost of waiting for ever for a
 * store that hangs; the slowness that was learnt is forgotten when the line is fast again.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failure, openScripted } from '../../../test/support/scripted-s3.ts';
import { httpAnswer } from '../../../test/support/raw-http-server.ts';
import { UnavailableError } from '../replica-client.ts';
import { UPLOAD_RATE_MIN } from './s3-options.ts';
import { UploadPace } from './upload-pace.ts';

describe('the limit', () => {
  test('a body gets through at any speed, after few attempts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 * 1024 * 1024 }),
        fc.integer({ min: 128, max: 1e9 }),
        (bytes, bytesPerSecond) => {
          const pace = new UploadPace({ requestTimeoutMs: 30_000 });
          const needsMs = (bytes / bytesPerSecond) * 1000;
          let attempts = 1;
          for (; pace.limitMs(bytes) < needsMs; attempts += 1) {
            expect(attempts).toBeLessThan(8);
            pace.wasTooSlow();
          }
          // Not much more than it needs, so that a connection that broke unseen is not waited for for days.
          expect(pace.limitMs(bytes)).toBeLessThanOrEqual(
            30_000 + Math.max(needsMs * 4, (bytes / UPLOAD_RATE_MIN) * 1000 + 1),
          );
          pace.passed(bytes, needsMs);
          expect(pace.limitMs(bytes)).toBeGreaterThanOrEqual(needsMs);
        },
      ),
    );
  });

  test('a fast line makes the limit the usual one again; a short body proves nothing', () => {
    const pace = new UploadPace({ requestTimeoutMs: 1000 });
    const usual = pace.limitMs(1_000_000);
    for (let times = 0; times < 20; times += 1) pace.wasTooSlow();
    const long = pace.limitMs(1_000_000);
    pace.passed(1000, 1);
    expect(pace.limitMs(1_000_000)).toBe(long);
    pace.passed(10_000_000, 100);
    expect(pace.limitMs(1_000_000)).toBe(usual);
  });
});

interface SlowServer extends AsyncDisposable {
  readonly endpoint: string;
  /** Whole bodies of PUT, and how many PUTs began. */
  readonly bodies: Buffer[];
  readonly counts: { puts: number; others: number };
}

/** Reads a PUT at so many bytes a second, and answers other requests at once, or never. */
async function slowServer({
  bytesPerSecond,
  answersOthers,
}: {
  bytesPerSecond: number;
  answersOthers: boolean;
}): Promise<SlowServer> {
  const sockets = new Set<Socket>();
  const bodies: Buffer[] = [];
  const counts = { puts: 0, others: 0 };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    // A client that gives up ends the reading: that is what this is about.
    serve(socket).catch(() => socket.destroy());
  });
  async function serve(socket: Socket): Promise<void> {
    let head = Buffer.alloc(0);
    let body: Buffer[] = [];
    let left = 0;
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      let rest = chunk;
      if (left === 0) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) continue;
        const text = head.subarray(0, end).toString('latin1');
        rest = head.subarray(end + 4);
        head = Buffer.alloc(0);
        if (!text.startsWith('PUT')) {
          counts.others += 1;
          if (answersOthers) socket.write(httpAnswer({ status: '200 OK' }));
          continue;
        }
        counts.puts += 1;
        left = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
        body = [];
      }
      left -= rest.byteLength;
      body.push(rest);
      await new Promise((resolve) => setTimeout(resolve, (rest.byteLength / bytesPerSecond) * 1000));
      if (left > 0) continue;
      bodies.push(Buffer.concat(body));
      socket.write(httpAnswer({ status: '200 OK', headers: { ETag: '"e"' } }));
    }
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    counts,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('over a real connection', () => {
  test('a body that needs many times its first limit gets through, unchanged', async () => {
    await using server = await slowServer({ bytesPerSecond: 80_000, answersOthers: true });
    await using client = await openScripted(server.endpoint, { requestTimeoutMs: 150 });
    const body = Buffer.alloc(100_000, 'slow');
    const failedAttempts = async (): Promise<number> => {
      for (let attempts = 0; attempts < 6; attempts += 1) {
        try {
          await client.put('a', body);
          return attempts;
        } catch (error) {
          expect(error).toBeInstanceOf(UnavailableError);
          expect(String(error)).toContain('though the store answers');
        }
      }
      throw new Error('it never got through');
    };
    // At first it is given 0.5 s, and it needs 1.25 s.
    expect(await failedAttempts()).toBeGreaterThan(0);
    expect(server.bodies.some((stored) => stored.equals(body))).toBe(true);
    expect(server.counts.others).toBeGreaterThan(1);
  });

  test('a store that hangs is given up after two time-outs, however long the body', async () => {
    await using server = await slowServer({ bytesPerSecond: 1, answersOthers: false });
    await using client = await openScripted(server.endpoint, { requestTimeoutMs: 150 });
    const error = await failure(client.put('a', Buffer.alloc(60_000_000)));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error.message).toContain('no answer within 150 ms');
    expect(server.counts).toEqual({ puts: 1, others: 1 });
  });
});
