/** The small HTTP surface for probes and scrapes. It only reads, and asks the engines only when it is asked. */
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:http';
import { ConfigurationError, systemCode } from '../core/errors.ts';
import type { DatabaseStatus, DrillStatus, ServerImageStatus, StandbyStatus } from '../core/status.ts';
import type { LogEvent } from './event-ring.ts';
import { judgeHealth } from './health.ts';
import type { Metrics } from './metrics.ts';

export interface HttpOptions {
  readonly addr: { readonly host: string; readonly port: number };
  readonly databases: () => readonly DatabaseStatus[];
  readonly images: () => readonly ServerImageStatus[];
  readonly standbys?: (() => readonly StandbyStatus[]) | undefined;
  readonly drills?: (() => readonly DrillStatus[]) | undefined;
  /** The last lines of the log, oldest first; without secrets. */
  readonly events: () => readonly LogEvent[];
  readonly metrics: Metrics;
  readonly version: string;
}

export interface HttpServer extends AsyncDisposable {
  /** The bound one: of port 0 the system made a real one. */
  readonly address: { readonly host: string; readonly port: number };
  /** Takes no new connection, lets answers that are under way end within `graceMs`, and frees the port. */
  close(options?: { graceMs?: number }): Promise<void>;
}

const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 10_000;
const CLOSE_GRACE_MS = 1_000;

function routes({ databases, images, standbys, drills, events, metrics, version }: HttpOptions): Hono {
  const app = new Hono();
  app.get('/', (context) =>
    context.text(
      `stdb-replicate ${version}\n\n/livez    200 while the program runs\n/readyz   200 once every destination has answered, 503 when a database stopped\n/metrics  for Prometheus\n/events   the last lines of the log\n`,
    ),
  );
  app.get('/livez', (context) => context.text('ok\n'));
  app.get('/readyz', (context) => {
    const health = judgeHealth(databases(), images(), standbys?.(), drills?.());
    return context.body(`${JSON.stringify(health, null, 2)}\n`, health.ready ? 200 : 503, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
  });
  app.get('/metrics', async (context) =>
    context.body(await metrics.render(), 200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' }),
  );
  app.get('/events', (context) =>
    context.body(
      events()
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(''),
      200,
      {
        'content-type': 'application/x-ndjson',
        'cache-control': 'no-store',
      },
    ),
  );
  app.notFound((context) => context.text('not found: there are /livez, /readyz, /metrics and /events\n', 404));
  return app;
}

const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Another process, perhaps another stdb-replicate, listens there: choose another `addr`.',
  EACCES: 'Ports below 1024 need a privilege: choose a higher one.',
  EADDRNOTAVAIL: 'This machine has no such address: 127.0.0.1 is this machine alone, 0.0.0.0 every interface.',
  ENOTFOUND: 'That name has no address: write an IP address, or a name of this machine.',
  EAI_AGAIN: 'That name has no address now: write an IP address.',
};

function listen(server: Server, { host, port }: HttpOptions['addr']): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const code = systemCode(error) ?? '';
      const hint = HINTS[code];
      reject(
        new ConfigurationError(
          `cannot listen on addr ${host}:${port}: ${code === 'EADDRINUSE' ? 'the port is in use' : error.message}`,
          {
            cause: error,
            facts: { host, port },
            ...(hint === undefined ? {} : { hint }),
          },
        ),
      );
    });
    server.listen({ host, port }, resolve);
  });
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** @throws ConfigurationError where the address cannot be bound */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const app = routes(options);
  const server = createAdaptorServer({
    fetch: app.fetch,
    createServer,
    serverOptions: { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
  }) as Server;
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, options.addr);
  const { address, port } = server.address() as AddressInfo;
  let closing: Promise<void> | null = null;
  const closeOnce = ({ graceMs = CLOSE_GRACE_MS } = {}): Promise<void> => (closing ??= close(server, graceMs));
  return { address: { host: address, port }, close: closeOnce, [Symbol.asyncDispose]: () => closeOnce() };
}
