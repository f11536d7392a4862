/**
 * A real S3 server for tests: one by environment, else versitygw in a container, else as a binary; and, where there is
 * one, a second of another make. Without any the caller gets the reason, and skips by name instead of passing.
 */
import { once } from 'node:events';
import { S3Client, CreateBucketCommand } from '@aws-sdk/client-s3';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { findOnPath, startProcess } from './server-process.ts';

const VERSITYGW_IMAGE = 'versity/versitygw:v1.8.0';
const ACCESS_KEY = 'stdbtest';
const SECRET_KEY = 'stdbtest-secret';
/** versitygw closes each connection unless it is told not to; the stores of this world keep them. */
const VERSITYGW_ENV = { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY, VGW_KEEP_ALIVE: 'true' };

export interface S3Server {
  /** For test names: versitygw, minio, … */
  readonly name: string;
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The directory of versitygw's objects as plain files, when it runs here: tests damage them from outside. */
  readonly directory: string | null;
  /** A new, empty bucket. */
  makeBucket(): Promise<string>;
  stop(): Promise<void>;
}

export type S3ServerOrSkip = S3Server | { readonly skip: string };

export const isServer = (found: S3ServerOrSkip): found is S3Server => !('skip' in found);

/** The first server that can be had. Whoever asks must stop it. */
export async function s3Server(): Promise<S3ServerOrSkip> {
  const given = fromEnvironment('STDB_TEST_S3_ENDPOINT', 'given');
  if (given) return given;
  const reasons: string[] = [];
  for (const start of [startContainer, startVersitygw]) {
    try {
      return await start();
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { skip: `no S3 server: ${reasons.join('; ')}` };
}

/** The first, and one of another make when there is one: STDB_TEST_S3_SECOND_ENDPOINT, minio, or moto_server. */
export async function s3Servers(): Promise<S3ServerOrSkip[]> {
  return [await s3Server(), await secondS3Server()];
}

export async function secondS3Server(): Promise<S3ServerOrSkip> {
  const given = fromEnvironment('STDB_TEST_S3_SECOND_ENDPOINT', 'second');
  if (given) return given;
  const minio = await findOnPath('minio');
  if (minio !== null) return startMinio(minio);
  const moto = await findOnPath('moto_server');
  if (moto !== null) return startMoto(moto);
  return {
    skip: 'no second S3 server: STDB_TEST_S3_SECOND_ENDPOINT is not set, neither minio nor moto_server is on PATH',
  };
}

function fromEnvironment(variable: string, name: string): S3Server | null {
  const endpoint = process.env[variable];
  if (!endpoint) return null;
  return server({
    name,
    endpoint,
    accessKeyId: process.env['STDB_TEST_S3_ACCESS_KEY'] ?? ACCESS_KEY,
    secretAccessKey: process.env['STDB_TEST_S3_SECRET_KEY'] ?? SECRET_KEY,
    directory: null,
    stop: async () => undefined,
  });
}

async function startContainer(): Promise<S3Server> {
  if (!(await dockerAnswers())) throw new Error('no container engine answers');
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer(VERSITYGW_IMAGE)
    .withEnvironment(VERSITYGW_ENV)
    .withCommand(['--port', ':7070', '--health', '/health', 'posix', '/data'])
    .withTmpFs({ '/data': 'rw' })
    .withExposedPorts(7070)
    .withWaitStrategy(Wait.forHttp('/health', 7070))
    .start();
  return server({
    name: 'versitygw',
    endpoint: `http://${container.getHost()}:${container.getMappedPort(7070)}`,
    directory: null,
    stop: async () => {
      await container.stop();
    },
  });
}

/** A quick look at the socket: testcontainers itself would search for long. */
async function dockerAnswers(): Promise<boolean> {
  const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  if (!host.startsWith('unix://')) return true;
  const socket = connect(host.slice('unix://'.length));
  try {
    socket.setTimeout(500, () => socket.destroy(new Error('no answer')));
    await once(socket, 'connect');
    socket.write('GET /_ping HTTP/1.0\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    return answer.includes(' 200 ');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function startVersitygw(): Promise<S3Server> {
  const binary = process.env['STDB_TEST_VERSITYGW'] ?? (await findOnPath('versitygw'));
  if (!binary) throw new Error('versitygw is neither on PATH nor named by STDB_TEST_VERSITYGW');
  return startBinary({
    name: 'versitygw',
    command: (port, data) => [binary, '--port', `127.0.0.1:${port}`, '--health', '/health', 'posix', data],
    env: VERSITYGW_ENV,
    ready: '/health',
    keepsFiles: true,
  });
}

const startMinio = (binary: string): Promise<S3Server> =>
  startBinary({
    name: 'minio',
    command: (port, data) => [binary, 'server', '--address', `127.0.0.1:${port}`, data],
    env: {
      MINIO_ROOT_USER: ACCESS_KEY,
      MINIO_ROOT_PASSWORD: SECRET_KEY,
      MINIO_UPDATE: 'off',
      MINIO_CALLHOME_ENABLE: 'off',
    },
    ready: '/minio/health/ready',
    keepsFiles: false,
  });

const startMoto = (binary: string): Promise<S3Server> =>
  startBinary({
    name: 'moto',
    command: (port) => [binary, '-H', '127.0.0.1', '-p', String(port)],
    env: {},
    ready: '/moto-api/',
    keepsFiles: false,
  });

interface BinaryServer {
  readonly name: string;
  readonly command: (port: number, data: string) => readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ready: string;
  readonly keepsFiles: boolean;
}

async function startBinary({ name, command, env, ready, keepsFiles }: BinaryServer): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), `stdb-${name}-`));
  const data = join(directory, 'data');
  await mkdir(data);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const process = await startProcess(command(port, data), { env, readyUrl: `${endpoint}${ready}` });
  return server({
    name,
    endpoint,
    directory: keepsFiles ? data : null,
    stop: async () => {
      await process.stop();
      await rm(directory, { recursive: true, force: true });
    },
  });
}

function server(facts: Partial<S3Server> & Pick<S3Server, 'name' | 'endpoint' | 'directory' | 'stop'>): S3Server {
  const credentials = {
    accessKeyId: facts.accessKeyId ?? ACCESS_KEY,
    secretAccessKey: facts.secretAccessKey ?? SECRET_KEY,
  };
  return {
    ...facts,
    ...credentials,
    async makeBucket() {
      const bucket = `stdb-test-${randomBytes(6).toString('hex')}`;
      const client = new S3Client({ endpoint: facts.endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
      try {
        await client.send(new CreateBucketCommand({ Bucket: bucket }));
      } finally {
        client.destroy();
      }
      return bucket;
    },
  };
}
