/**
 * Stores that speak S3 and know no conditions: one in this process, which ignores them or answers that it has no such
 * thing, and `rclone serve s3`, which ignores them and refuses chunked bodies. Knows what the program asks, and no more.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareKeys } from '../../src/replica/keys.ts';
import { freePort } from './free-port.ts';
import { findOnPath, startProcess } from './server-process.ts';

export interface DeafStore extends AsyncDisposable {
  readonly endpoint: string;
  /** That is there, and empty. */
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const BUCKET = 'bucket';
const KEYS = { accessKeyId: 'somebody', secretAccessKey: 'something' };
const LISTED_MAX = 1_000;

export type ConditionAnswer = 'ignored' | 'not-implemented';

export async function deafS3(conditions: ConditionAnswer): Promise<DeafStore> {
  const objects = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    void answer({ request, response, objects, conditions });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bucket: BUCKET,
    ...KEYS,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly objects: Map<string, Buffer>;
  readonly conditions: ConditionAnswer;
}

const etag = (bytes: Buffer): string => `"${createHash('md5').update(bytes).digest('hex')}"`;

const failed = (code: string): string => `<Error><Code>${code}</Code><Message>${code}</Message></Error>`;

async function answer({ request, response, objects, conditions }: Call): Promise<void> {
  const { method = '', url = '/', headers } = request;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const key = decodeURIComponent(pathname.slice(BUCKET.length + 2));
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const end = (
    status: number,
    { more = {}, body = '' }: { more?: Record<string, string>; body?: string | Buffer } = {},
  ) => response.writeHead(status, more).end(method === 'HEAD' ? undefined : body);
  if (method === 'PUT') {
    const isConditional = headers['if-match'] !== undefined || headers['if-none-match'] !== undefined;
    const isRefused = isConditional && conditions === 'not-implemented';
    if (isRefused || headers['content-encoding']?.includes('aws-chunked')) {
      end(501, { body: failed('NotImplemented') });
      return;
    }
    const bytes = Buffer.concat(chunks);
    objects.set(key, bytes);
    end(200, { more: { etag: etag(bytes) } });
    return;
  }
  if (searchParams.has('list-type')) {
    end(200, { more: { 'content-type': 'application/xml' }, body: listing(objects, searchParams) });
    return;
  }
  const bytes = objects.get(key);
  if (bytes === undefined) end(404, { body: failed('NoSuchKey') });
  else sendObject(headers.range, bytes, end);
}

function sendObject(
  range: string | undefined,
  bytes: Buffer,
  end: (status: number, answer: { more: Record<string, string>; body: Buffer }) => void,
): void {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const start = Number(from ?? 0);
  const last = to === undefined || to === '' ? bytes.byteLength - 1 : Math.min(Number(to), bytes.byteLength - 1);
  const body = bytes.subarray(start, last + 1);
  const more = { etag: etag(bytes), 'content-length': String(body.byteLength) };
  if (from === undefined) end(200, { more, body });
  else end(206, { more: { ...more, 'content-range': `bytes ${start}-${last}/${bytes.byteLength}` }, body });
}

function listing(objects: ReadonlyMap<string, Buffer>, parameters: URLSearchParams): string {
  const prefix = parameters.get('prefix') ?? '';
  const after = parameters.get('continuation-token') ?? parameters.get('start-after') ?? '';
  const all = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).toSorted(compareKeys);
  const page = all.slice(0, LISTED_MAX);
  const more = all.length > page.length ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : '';
  const contents = page.map(
    (key) => `<Contents><Key>${key}</Key><Size>${objects.get(key)?.byteLength ?? 0}</Size></Contents>`,
  );
  return (
    `<?xml version="1.0"?><ListBucketResult><Name>${BUCKET}</Name><Prefix>${prefix}</Prefix>` +
    `<KeyCount>${page.length}</KeyCount><MaxKeys>${LISTED_MAX}</MaxKeys><IsTruncated>${more !== ''}</IsTruncated>` +
    `${more}${contents.join('')}</ListBucketResult>`
  );
}

/** Null and why, where there is no rclone that can serve S3: STDB_TEST_RCLONE, or one on PATH. */
export async function findRclone(): Promise<{ readonly path: string } | { readonly missing: string }> {
  const path = process.env['STDB_TEST_RCLONE'] ?? (await findOnPath('rclone'));
  if (!path) return { missing: 'rclone is neither on PATH nor named by STDB_TEST_RCLONE' };
  const { spawnSync } = await import('node:child_process');
  const { stdout } = spawnSync(path, ['serve', '--help'], { encoding: 'utf8' });
  return /^ +s3 /m.test(stdout)
    ? { path }
    : { missing: `${path} is too old to serve s3: STDB_TEST_RCLONE names a newer one` };
}

export async function rcloneS3(path: string): Promise<DeafStore> {
  const directory = await mkdtemp(join(tmpdir(), 'stdb-rclone-'));
  await mkdir(join(directory, BUCKET));
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  // Without keys of its own it takes anybody's, and answers whoever asks whether it is there.
  const command = [
    path,
    'serve',
    's3',
    '--addr',
    endpoint.slice('http://'.length),
    '--vfs-cache-mode',
    'off',
    directory,
  ];
  const server = await startProcess(command, { env: {}, readyUrl: `${endpoint}/` });
  return {
    endpoint,
    bucket: BUCKET,
    ...KEYS,
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
