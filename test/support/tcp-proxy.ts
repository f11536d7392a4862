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
import { putsIn, requestEnd, type SentObject } from './http-requests.ts';
import type { RequestFate } from './line-faults.ts';
import { s3ErrorAnswer } from './raw-http-server.ts';

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
  /** A request whose line matches is kept here when all of it has come, until it is delivered, whoever is gone by then. */
  | { readonly kind: 'keep'; readonly line: RegExp }
  /** So many bytes a second from the clients to the server, on all connections together. */
  | { readonly kind: 'throttle'; readonly bytesPerSecond: number }
  /** Each request meets with its own fate, told by its line. */
  | { readonly kind: 'faults'; readonly fateOf: (line: string) => RequestFate }
  /** Each request is answered with this text, and the connection is closed. */
  | { readonly kind: 'answer'; readonly text: string };

const PASS: ProxyMode = { kind: 'pass' };
/** As the SDK sends them: a request line begins a piece, since each request waits for the answer to the one before. */
const REQUEST_LINE = /^(?:GET|PUT|HEAD|POST|DELETE) \S+ HTTP\/1\.1\r\n/;
/** Pieces of a throttled line a second. */
const PIECES_PER_SECOND = 20;
const BUSY = s3ErrorAnswer('503 Slow Down', 'SlowDown');

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
  /** Requests that were stopped (`stop-at`, `keep`). */
  stopped = 0;
  /** Requests that met with another fate than to pass (`faults`). */
  faults = 0;
  readonly #kept: Buffer[] = [];
  /** When the throttled line has sent all that it was given, by performance.now. */
  #lineFreeAt = 0;

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
    const wasStuck = this.#mode.kind !== 'pass' && this.#mode.kind !== 'faults';
    this.#lineFreeAt = 0;
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

  /** Sends what was kept to the server, each request on a connection of its own. @returns the status lines of its answers */
  async deliver(): Promise<string[]> {
    const answers: string[] = [];
    for (const request of this.#kept.splice(0)) {
      const far = connect(Number(this.#target.port), this.#target.hostname);
      far.write(request);
      const [answer] = (await once(far, 'data')) as [Buffer];
      answers.push(answer.toString('latin1').split('\r\n')[0] ?? '');
      far.destroy();
    }
    return answers;
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
    const held: Held = { line: '', fate: { kind: 'pass' } };
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
    const kept: Buffer[] = [];
    for await (const piece of piecesOf(near)) {
      const begun = REQUEST_LINE.exec(piece.subarray(0, 4096).toString('latin1'))?.[0];
      const isRequest = begun !== undefined;
      if (isRequest) {
        line = begun;
        held.line = line;
        held.fate = this.#mode.kind === 'faults' ? this.#mode.fateOf(line) : { kind: 'pass' };
        if (held.fate.kind !== 'pass') this.faults += 1;
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
      if (mode.kind === 'keep' && mode.line.test(line)) {
        kept.push(piece);
        const all = Buffer.concat(kept);
        if (requestEnd(all) === null) continue;
        this.#kept.push(all);
        this.stopped += 1;
        return near.pause(), undefined;
      }
      if (mode.kind === 'answer' || held.fate.kind === 'busy') {
        if (isRequest) near.end(mode.kind === 'answer' ? mode.text : BUSY);
        continue;
      }
      if (held.fate.kind === 'late' && isRequest) await delay(held.fate.ms);
      if (held.fate.kind === 'lost' || held.fate.kind === 'half-sent') {
        if (held.fate.kind === 'half-sent') await write(far, piece.subarray(0, Math.ceil(piece.byteLength / 2)));
        far.destroy();
        near.resetAndDestroy();
        return;
      }
      if (mode.kind === 'reset-request' && requestBytes > mode.bytes) {
        far.destroy();
        near.resetAndDestroy();
        return;
      }
      if (mode.kind === 'throttle') await this.#trickle(piece, far);
      else await write(far, piece);
    }
    far.end();
  }

  /** Slowly, in turn with what the other connections send, until another mode is set. */
  async #trickle(piece: Buffer, far: Socket): Promise<void> {
    for (let at = 0; at < piece.byteLength; ) {
      const mode = this.#mode;
      if (mode.kind !== 'throttle') return write(far, piece.subarray(at));
      const bytes = Math.max(1, Math.floor(mode.bytesPerSecond / PIECES_PER_SECOND));
      const now = performance.now();
      this.#lineFreeAt = Math.max(now, this.#lineFreeAt) + (bytes * 1000) / mode.bytesPerSecond;
      await delay(this.#lineFreeAt - now);
      await write(far, piece.subarray(at, at + bytes));
      at += bytes;
    }
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
      if (kind === 'reset-response' || held.fate.kind === 'answer-lost') {
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
  readonly held: Held;
}

interface Held {
  line: string;
  fate: RequestFate;
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
