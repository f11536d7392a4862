/** A TCP server that answers HTTP requests with bytes of the test's choice, or not at all. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface RawHttpServer extends AsyncDisposable {
  readonly endpoint: string;
  /** First lines of the requests that came, in order: `PUT /bucket/key HTTP/1.1`. */
  readonly requests: readonly string[];
}

/** Called once for each request, when its head has come. Doing nothing leaves the request without an answer. */
export type Answer = (
  socket: Socket,
  request: { readonly line: string; readonly head: string; readonly count: number },
) => void;

export async function rawHttpServer(answer: Answer): Promise<RawHttpServer> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The other side may go away while bytes are on their way: that is what these tests are about.
    socket.on('error', () => socket.destroy());
    let unread = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      unread += text;
      for (let end = unread.indexOf('\r\n\r\n'); end >= 0; end = unread.indexOf('\r\n\r\n')) {
        const head = unread.slice(0, end);
        const bodyBytes = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        if (unread.length < end + 4 + bodyBytes) return;
        unread = unread.slice(end + 4 + bodyBytes);
        const line = head.split('\r\n')[0] ?? '';
        requests.push(line);
        answer(socket, { line, head, count: requests.length });
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface HttpAnswer {
  readonly status: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: string;
}

/** A whole answer; `headers` may announce another Content-Length than the body has. */
export function httpAnswer({ status, headers = {}, body = '' }: HttpAnswer): string {
  const all = { 'Content-Length': Buffer.byteLength(body), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status}`, ...lines, '', body].join('\r\n');
}

/** As S3 tells errors. */
export const s3ErrorAnswer = (status: string, code: string, more = ''): string =>
  httpAnswer({
    status,
    headers: { 'Content-Type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>said ${code}</Message>${more}</Error>`,
  });
