/**
 * Invariant: probes and scrapes over a real socket say what the engines say at that moment; an address that cannot be
 * bound is a matter of configuration; closing frees the port.
 */
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigurationError } from '../core/errors.ts';
import type { DatabaseStatus, ServerImageStatus, StoreCounters } from '../core/status.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import type { LogEvent } from './event-ring.ts';
import { type HttpServer, serveHttp } from './http.ts';
import { createMetrics } from './metrics.ts';
import { readProcessFacts } from './process-facts.ts';

const status: DatabaseStatus = {
  database: '/stdb/replicas/1',
  destination: 's3://bucket/p',
  state: 'streaming',
  storeAnswered: true,
  generation: '00000001-8c0ffee0',
  leaseMode: 'advisory',
  generationsBegun: { first: 1, gap: 2 },
  damage: { file: '00000000000000000086.stdb.log', byte: 4711, tx: txOffset(90), message: 'bad checksum' },
  local: { tx: txOffset(120), crc: crc32cValue(1), time: micros(5n) },
  stored: { tx: txOffset(100), crc: crc32cValue(2), time: micros(4n) },
  lagTransactions: 20,
  lagSeconds: 0.5,
  lastSuccess: micros(1_500_000n),
  lastError: { code: 'STORE_UNAVAILABLE', message: 'x', at: micros(1_000_000n) },
  newestSnapshot: null,
  counters: {
    commits: 7,
    logObjects: 3,
    logBytesPlain: 9000,
    logBytesStored: 3000,
    snapshots: 1,
    packs: 2,
    packBytesStored: 64,
  },
};
const none = { requests: 0, errors: 0, bytesSent: 0, bytesReceived: 0, seconds: 0 };
const store: StoreCounters = {
  destination: 's3://bucket/p',
  operations: {
    put: { ...none, requests: 4, bytesSent: 3064, seconds: 0.25 },
    get: none,
    head: none,
    list: { ...none, errors: 1 },
    delete: none,
  },
};

let databases: DatabaseStatus[];
let images: ServerImageStatus[];
let events: LogEvent[];
let server: HttpServer;

const metrics = createMetrics({
  databases: () => databases,
  images: () => images,
  stores: () => [store],
  process: readProcessFacts,
  version: '1.2.3',
});
const start = (port = 0) =>
  serveHttp({
    addr: { host: '127.0.0.1', port },
    databases: () => databases,
    images: () => images,
    events: () => events,
    metrics,
    version: '1.2.3',
  });
const get = (path: string) => fetch(`http://127.0.0.1:${server.address.port}${path}`);

/** Sample lines by name and labels; checks the shape of each line. */
function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
    const match = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line);
    expect(match, line).not.toBeNull();
    samples.set(match?.[1] ?? '', Number(match?.[2]));
  }
  return samples;
}

beforeEach(async () => {
  databases = [status];
  images = [];
  events = [];
  server = await start();
});
afterEach(() => server.close());

test('/livez answers whatever the databases do', async () => {
  databases = [{ ...status, state: 'stopped' }];
  expect((await get('/livez')).status).toBe(200);
});

test('/readyz follows the databases', async () => {
  expect((await get('/readyz')).status).toBe(200);
  databases = [{ ...status, state: 'stopped' }];
  const answer = await get('/readyz');
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({
    ready: false,
    databases: [{ database: '/stdb/replicas/1', health: 'stopped', reason: 'STORE_UNAVAILABLE: x' }],
  });
});

test('/ tells what there is, other paths are not found, nothing is written', async () => {
  expect(await (await get('/')).text()).toContain('stdb-replicate 1.2.3');
  expect((await get('/nothing')).status).toBe(404);
  const post = await fetch(`http://127.0.0.1:${server.address.port}/livez`, { method: 'POST', body: 'x' });
  expect(post.status).toBe(404);
});

test('/events gives the last lines of the log, one document a line', async () => {
  events = [
    { time: '2026-11-21T07:40:10.000Z', level: 'info', message: 'one', facts: { tx: '7' } },
    { time: '2026-11-21T07:40:11.000Z', level: 'warn', message: 'two\nlines', facts: {} },
  ];
  const answer = await get('/events');
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = (await answer.text()).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as LogEvent)).toEqual(events);
});

const imageStatus: ServerImageStatus = {
  dataDirectory: '/stdb/data',
  destination: 's3://bucket/p',
  state: 'watching',
  storeAnswered: true,
  generation: '00000001-8c0ffee0',
  leaseMode: 'exclusive',
  lastImage: micros(2_500_000n),
  imagesStored: 2,
  programsStored: 5,
  pendingSeconds: 0,
  lastSuccess: micros(3_000_000n),
  lastError: null,
};

test("/readyz and /metrics tell of servers' own files", async () => {
  images = [imageStatus, { ...imageStatus, dataDirectory: '/other', state: 'stopped', lastImage: null }];
  const answer = await get('/readyz');
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({
    databases: [{ health: 'degraded', reason: expect.stringContaining('byte 4711') as string }],
    servers: [
      { dataDirectory: '/stdb/data', health: 'ok' },
      { health: 'stopped', reason: 'no error was told' },
    ],
  });
  const samples = parseMetrics(await (await get('/metrics')).text());
  const labels = 'server="/stdb/data",destination="s3://bucket/p"';
  expect(samples.get(`stdb_replicate_image_timestamp_seconds{${labels}}`)).toBe(2.5);
  expect(samples.get(`stdb_replicate_images_total{${labels}}`)).toBe(2);
  expect(samples.get(`stdb_replicate_programs_total{${labels}}`)).toBe(5);
  expect(samples.get(`stdb_replicate_server_state{${labels},state="watching"}`)).toBe(1);
  expect(samples.has('stdb_replicate_image_timestamp_seconds{server="/other",destination="s3://bucket/p"}')).toBe(
    false,
  );
});

describe('/metrics', () => {
  const labels = '{database="/stdb/replicas/1",destination="s3://bucket/p"}';

  test('positions, lag, counters, requests, process', async () => {
    const answer = await get('/metrics');
    expect(answer.headers.get('content-type')).toContain('text/plain');
    const samples = parseMetrics(await answer.text());
    const expected: [string, number][] = [
      [`stdb_replicate_local_tx_offset${labels}`, 120],
      [`stdb_replicate_stored_tx_offset${labels}`, 100],
      [`stdb_replicate_lag_transactions${labels}`, 20],
      [`stdb_replicate_lag_seconds${labels}`, 0.5],
      [`stdb_replicate_last_success_timestamp_seconds${labels}`, 1.5],
      [`stdb_replicate_snapshot_failing${labels}`, 0],
      [`stdb_replicate_log_objects_total${labels}`, 3],
      [`stdb_replicate_log_stored_bytes_total${labels}`, 3000],
      [`stdb_replicate_database_state${labels.replace('}', ',state="streaming"}')}`, 1],
      [`stdb_replicate_database_state${labels.replace('}', ',state="stopped"}')}`, 0],
      [`stdb_replicate_last_error_timestamp_seconds${labels.replace('}', ',code="STORE_UNAVAILABLE"}')}`, 1],
      [`stdb_replicate_lease_guarded${labels}`, 0],
      [`stdb_replicate_generations_total${labels.replace('}', ',reason="gap"}')}`, 2],
      [`stdb_replicate_damaged_byte${labels.replace('}', ',file="00000000000000000086.stdb.log"}')}`, 4711],
      ['stdb_replicate_store_requests_total{destination="s3://bucket/p",operation="put"}', 4],
      ['stdb_replicate_store_sent_bytes_total{destination="s3://bucket/p",operation="put"}', 3064],
      ['stdb_replicate_store_errors_total{destination="s3://bucket/p",operation="list"}', 1],
      ['stdb_replicate_info{version="1.2.3"}', 1],
    ];
    for (const [name, value] of expected) expect(samples.get(name), name).toBe(value);
    // A value that is not known is absent, which an alert can tell from 0.
    expect(samples.has(`stdb_replicate_newest_snapshot_tx_offset${labels}`)).toBe(false);
    expect(samples.has(`stdb_replicate_unrestorable_from_tx_offset${labels}`)).toBe(false);
    expect(samples.get('stdb_replicate_process_resident_memory_bytes')).toBeGreaterThan(2 ** 20);
    expect(samples.get('stdb_replicate_process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(samples.get('stdb_replicate_process_start_time_seconds')).toBeGreaterThan(1.6e9);
  });

  test('each scrape shows the moment, counters are not added up, a database that went is gone', async () => {
    await get('/metrics');
    databases = [{ ...status, stored: { ...status.local!, tx: txOffset(120) }, lagTransactions: 0 }];
    const second = parseMetrics(await (await get('/metrics')).text());
    expect(second.get(`stdb_replicate_stored_tx_offset${labels}`)).toBe(120);
    expect(second.get(`stdb_replicate_commits_total${labels}`)).toBe(7);
    databases = [{ ...status, snapshotProblem: 'an object is gone', unrestorableFrom: txOffset(86) }];
    const third = parseMetrics(await (await get('/metrics')).text());
    expect(third.get(`stdb_replicate_snapshot_failing${labels}`)).toBe(1);
    expect(third.get(`stdb_replicate_unrestorable_from_tx_offset${labels}`)).toBe(86);
    databases = [];
    expect(parseMetrics(await (await get('/metrics')).text()).has(`stdb_replicate_commits_total${labels}`)).toBe(false);
  });
});

describe('binding', () => {
  test('a port in use is a ConfigurationError that names it', async () => {
    const error: unknown = await start(server.address.port).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as ConfigurationError).message).toBe(
      `cannot listen on addr 127.0.0.1:${server.address.port}: the port is in use`,
    );
  });

  test('an address that is not of this machine is one too', async () => {
    const started = serveHttp({
      addr: { host: '192.0.2.1', port: 0 },
      databases: () => [],
      images: () => [],
      events: () => [],
      metrics,
      version: '0',
    });
    await expect(started).rejects.toBeInstanceOf(ConfigurationError);
  });

  test('close frees the port, ends held connections, and may be called twice', async () => {
    const { port } = server.address;
    const socket = connect(port, '127.0.0.1');
    const ended = new Promise((resolve) => socket.once('close', resolve).once('error', resolve));
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('GET /livez HTTP/1.1\r\n');
    await Promise.all([server.close({ graceMs: 10 }), server.close()]);
    await ended;
    server = await start(port);
    expect((await get('/livez')).status).toBe(200);
  });
});
