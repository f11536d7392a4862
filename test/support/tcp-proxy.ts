/**
 * A connection to a server that can be cut and given back, and behave in between in the ways of bad networks and of
 * stores in trouble: a store that goes away and comes again.
 *
 * Responsible for: what happens to bytes, and a count of the requests that came. Not responsible for: a server's own
 * words, except one answer that it gives in the server's place (`answer`).
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export type ProxyMode =
  | { readonly kind: 'pass' }
  /** Connections are taken, and nothing ever comes or goes: also on those that are open. */
  | { readonly kind: 'hang' }
  /** The same after so many bytes of each request's connection have gone to the server. */
  | { readonly kind: 'hang-after'; readonly bytes: number }
  /** After so many bytes of a request both sides see a reset: the server never has all of it. */
  | { readonly kind: 'reset-request'; readonly bytes: number }
  /** The server does what it was asked for; the answer is lost in a reset. */
  | { readonly kind: 'reset-response' }
  /** A request whose line matches stops there: half of it at the server, or all of it and the answer held back. */
  | { readonly kind: 'stop-at'; readonly line: RegExp; readonly when: 'half-sent' | 'done' }
  /** So many bytes a second from the client to the server, on each connection. */
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** Each request is answered with this text, and the connection is closed. */
  | { readonly kind: 'answer'; readonly text: string };

const PASS: ProxyMode = { kind: 'pass' };
/** As the SDK sends them: a request line begins a piece, since each request waits for the answer to the one before. */
const REQUEST_LINE = /^(?:GET|PUT|HEAD|POST|DELETE) \S+ HTTP\/1\.1\r\n/;
/** Pieces of a throttled stream a second. */
const PIECES_PER_SECOND = 20;

export interface SentObject {
  /** The path of the request, without its query. */
  readonly path: string;
  readonly body: Buffer;
}

export class TcpProxy implements AsyncDisposable {
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  readonly #sent: Buffer[][] = [];
  readonly #isRecording: boolean;
  #server: Server | null = null;
  #port = 0;
  #mode: ProxyMode = PASS;
  /** Requests whose first bytes came, in whatever mode. */
  requests = 0;
  /** Requests that were stopped (`stop-at`). */
  stopped = 0;

  /**
   * @param target `http://host:port`; nobody listens before `open`
   * @param options.record keeps what clients send: for small databases
   */
  constructor(target: string, { record = false }: { readonly record?: boolean } = {}) {
    this.#target = new URL(target);
    this.#isRecording = record;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** From now on, for open connections too. Those that hung or were slowed down are cut when bytes flow again. */
  set mode(mode: ProxyMode) {
    const wasStuck = this.#mode.kind !== 'pass';
    this.#mode = mode;
    if (wasStuck) for (const socket of this.#sockets) socket.destroy();
  }

  /** Listens, again at its own port after a stop. */
  async open(): Promise<void> {
    const server = createServer((near) => this.#serve(near));
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Cuts all connections and takes no new ones. */
  async cut(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }

  /** What whole PUTs brought so far, in order of their connections. @throws unless it records */
  puts(): SentObject[] {
    if (!this.#isRecording) throw new Error('this proxy does not record');
    return this.#sent.flatMap((pieces) => putsIn(Buffer.concat(pieces)));
  }

  #serve(near: Socket): void {
    const far = connect(Number(this.#target.port), this.#target.hostname);
    const sent: Buffer[] = [];
    if (this.#isRecording) this.#sent.push(sent);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      // Whatever ends one side ends the other: there is nobody to tell.
      socket.on('error', () => other.destroy()).on('close', () => this.#close(socket, other));
    }
    const held = { line: '' };
    void this.#upstream({ near, far, sent, held });
    void this.#downstream({ near, far, held });
  }

  #close(socket: Socket, other: Socket): void {
    this.#sockets.delete(socket);
    other.destroySoon();
  }

  async #upstream({ near, far, sent, held }: Connection & { readonly sent: Buffer[] }): Promise<void> {
    let requestBytes = 0;
    let line = '';
    for await (const piece of piecesOf(near)) {
      const begun = REQUEST_LINE.exec(piece.subarray(0, 4096).toString('latin1'))?.[0];
      const isRequest = begun !== undefined;
      if (isRequest) {
        line = begun;
        held.line = line;
        this.requests += 1;
        requestBytes = 0;
      }
      requestBytes += piece.byteLength;
      if (this.#isRecording) sent.push(piece);
      const mode = this.#mode;
      if (mode.kind === 'hang' || (mode.kind === 'hang-after' && requestBytes > mode.bytes))
        return near.pause(), undefined;
      if (mode.kind === 'stop-at' && mode.when === 'half-sent' && mode.line.test(line)) {
        await write(far, piece.subarray(0, Math.ceil(piece.byteLength / 2)));
        this.stopped += 1;
        return near.pause(), undefined;
      }
      if (mode.kind === 'answer') {
        if (isRequest) near.end(mode.text);
        continue;
      }
      if (mode.kind === 'reset-request' && requestBytes > mode.bytes) {
        far.destroy();
        near.resetAndDestroy();
        return;
      }
      if (mode.kind === 'throttle') await trickle(piece, far, () => this.#mode);
      else await write(far, piece);
    }
    far.end();
  }

  async #downstream({ near, far, held }: Connection): Promise<void> {
    for await (const piece of piecesOf(far)) {
      const mode = this.#mode;
      const { kind } = mode;
      if (kind === 'hang' || kind === 'hang-after') return far.pause(), undefined;
      if (mode.kind === 'stop-at' && mode.when === 'done' && mode.line.test(held.line)) {
        this.stopped += 1;
        return far.pause(), undefined;
      }
      if (kind === 'reset-response') {
        near.resetAndDestroy();
        return;
      }
      await write(near, piece);
    }
    near.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cut();
  }
}

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
  /** The newest request of the connection. */
  readonly held: { line: string };
}

/** The bytes of a socket; a broken one ends. */
async function* piecesOf(socket: Socket): AsyncGenerator<Buffer, void, void> {
  try {
    for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) yield piece;
  } catch {
    // Reset by the other side, or by us: the same as its end.
  }
}

async function write(socket: Socket, piece: Uint8Array): Promise<void> {
  if (socket.destroyed || socket.write(piece)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

/** Slowly, until another mode is set. */
async function trickle(piece: Buffer, socket: Socket, mode: () => ProxyMode): Promise<void> {
  for (let at = 0; at < piece.byteLength; ) {
    const now = mode();
    if (now.kind !== 'throttle') return write(socket, piece.subarray(at));
    const bytes = Math.max(1, Math.floor(now.bytesPerSecond / PIECES_PER_SECOND));
    await write(socket, piece.subarray(at, at + bytes));
    at += bytes;
    await delay(1000 / PIECES_PER_SECOND);
  }
}

/** Whole PUT requests in what one connection brought. */
function putsIn(bytes: Buffer): SentObject[] {
  const puts: SentObject[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) return puts;
    const head = bytes.subarray(at, end).toString('latin1');
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    const body = bytes.subarray(end + 4, end + 4 + length);
    const path = /^PUT ([^ ?]+)/.exec(head)?.[1];
    if (path !== undefined && body.byteLength === length) puts.push({ path, body });
    at = end + 4 + length;
  }
}
