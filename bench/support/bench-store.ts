/** An S3 server for benches: versitygw on loopback, whose access log counts every request of whatever talks to it. */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { findOnPath, startProcess } from '../../test/support/server-process.ts';

const ACCESS_KEY = 'stdbbench';
const SECRET_KEY = 'stdbbench-secret';
/** The log's lines come a moment after the answers. */
const LOG_SETTLES_MS = 150;

export interface Traffic {
  readonly requests: number;
  /** By the server's names: `PutObject 23, GetObject 2`. */
  readonly operations: string;
  readonly puts: number;
  /** Bytes of the bodies of objects that were put. */
  readonly bytesPut: number;
}

export interface BenchStore {
  readonly name: string;
  readonly endpoint: string;
  /** What the SDK, restic and rclone read their credentials from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Makes a new, empty bucket, and gives its name. */
  makeBucket(): Promise<string>;
  /** The URL of a prefix in a bucket, as the program takes it. */
  url(bucket: string, prefix: string): string;
  /** The directory where a bucket's objects lie as plain files. */
  directory(bucket: string): string;
  /** Place in the access log: what comes after it is counted by `trafficSince`. */
  mark(): Promise<number>;
  trafficSince(mark: number): Promise<Traffic>;
  stop(): Promise<void>;
}

/** Null where there is no versitygw: on PATH, or named by STDB_TEST_VERSITYGW. */
export async function startBenchStore(scratch: string): Promise<BenchStore | null> {
  const binary = process.env['STDB_TEST_VERSITYGW'] ?? (await findOnPath('versitygw'));
  if (!binary) return null;
  const data = join(scratch, 's3');
  await mkdir(data, { recursive: true });
  const accessLog = join(scratch, 's3-access.log');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const server = await startProcess(
    [
      binary,
      '--port',
      `127.0.0.1:${port}`,
      '--health',
      '/health',
      '--keep-alive',
      '--quiet',
      '--access-log',
      accessLog,
      'posix',
      data,
    ],
    { env: { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY }, readyUrl: `${endpoint}/health` },
  );
  const mark = async (): Promise<number> => {
    await delay(LOG_SETTLES_MS);
    return statSync(accessLog).size;
  };
  return {
    name: 'versitygw',
    endpoint,
    env: {
      AWS_ACCESS_KEY_ID: ACCESS_KEY,
      AWS_SECRET_ACCESS_KEY: SECRET_KEY,
      AWS_REGION: 'us-east-1',
      AWS_CA_BUNDLE: undefined,
    },
    async makeBucket() {
      const bucket = `bench-${randomBytes(4).toString('hex')}`;
      // A directory is a bucket there; no credentials and no SDK are needed to make one.
      await mkdir(join(data, bucket));
      return bucket;
    },
    url: (bucket, prefix) => `s3://${bucket}/${prefix}?endpoint=${endpoint}&region=us-east-1&forcePathStyle=true`,
    directory: (bucket) => join(data, bucket),
    mark,
    async trafficSince(from) {
      const end = await mark();
      return countTraffic(readFileSync(accessLog).subarray(from, end).toString('latin1'));
    },
    async stop() {
      await server.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** Lines as S3's own server access log has them. */
function countTraffic(log: string): Traffic {
  const byOperation = new Map<string, number>();
  let bytesPut = 0;
  for (const line of log.split('\n')) {
    const operation = / s3_(\w+) /.exec(line)?.[1];
    if (operation === undefined) continue;
    byOperation.set(operation, (byOperation.get(operation) ?? 0) + 1);
    // … path status error bytes-sent object-size total-time …
    const size = / \d{3} \S+ \d+ (\d+) \d+ /.exec(line)?.[1];
    if (operation.startsWith('PutObject') || operation.startsWith('UploadPart')) bytesPut += Number(size ?? 0);
  }
  const counts = [...byOperation].sort(([, a], [, b]) => b - a);
  return {
    requests: counts.reduce((sum, [, count]) => sum + count, 0),
    operations: counts.map(([operation, count]) => `${operation} ${count}`).join(', '),
    puts: byOperation.get('PutObject') ?? 0,
    bytesPut,
  };
}
