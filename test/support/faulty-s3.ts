/**
 * The real S3 server of a test file, and destinations in it that are reached over a bad line: a proxy that resets, loses
 * answers, delays and says "busy" now and then. Without a server every test of the file is skipped by name.
 *
 * STDB_TEST_FAULT_SEED repeats the dice of the line (not the timing of what meets with them).
 */
import { afterAll } from 'vitest';
import { S3ReplicaClient } from '../../src/replica/s3/s3-replica-client.ts';
import { Random } from '../sim/random.ts';
import { mildFaults } from './line-faults.ts';
import { mirror } from './mirror.ts';
import { testNeeding } from './named-skip.ts';
import { s3Credentials, s3Url } from './s3-place.ts';
import { isServer, s3Server, type S3Server } from './s3-server.ts';
import { type ProxyMode, TcpProxy } from './tcp-proxy.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const SEED = Number(process.env['STDB_TEST_FAULT_SEED'] ?? Date.now() % 1_000_000);
/** Of so many requests some meet with a fault: a line without any would be no bad one. */
const REQUESTS_MIN = 100;
/** For hangs: several tests run side by side, each with its own processes. */
const TEST_MS_MAX = 120_000;

export interface FaultyStoreOptions {
  /** How the line behaves. Default: mild faults of every kind. */
  readonly mode?: ProxyMode;
  /** Keeps what clients send: for small databases. */
  readonly record?: boolean;
}

/** A bucket of its own behind a proxy of its own. */
export interface FaultyStore extends AsyncDisposable {
  readonly bucket: string;
  readonly proxy: TcpProxy;
  /** Through the proxy. */
  readonly url: string;
  /** Past it. */
  readonly directUrl: string;
  readonly env: Readonly<Record<string, string>>;
  /** As it was opened: to go back to after an outage. */
  readonly mode: ProxyMode;
  /** A client of the store, through the proxy or past it. Whoever asks must close it. */
  client(way: 'proxy' | 'direct'): Promise<S3ReplicaClient>;
  /** What is stored now, as files in a new directory; gone with the store. */
  asFiles(): Promise<string>;
}

/**
 * The dice fall while a small machine does two things at once: now and then they add up to more than a scene expects. Then
 * they are thrown once more; the end of the run tells which tests needed that, and what failed first.
 */
const THROWS_MORE = 1;

type NamedTest = ReturnType<typeof testNeeding>;

export interface FaultyS3 {
  /** Needs the server. */
  readonly test: NamedTest;
  /** Needs the server, and something else: null where that is there. */
  readonly testNeeding: (missing: string | null) => NamedTest;
  /** Of its buckets as plain files, where it keeps them so and here. */
  readonly directory: string | null;
  /** @throws where there is no server */
  readonly server: () => S3Server;
  open(options?: FaultyStoreOptions): Promise<FaultyStore>;
}

/** Once for a test file, which it stops when that ends. */
export async function faultyS3(): Promise<FaultyS3> {
  const found = await s3Server();
  const random = new Random(SEED);
  let requests = 0;
  let faults = 0;
  afterAll(async () => {
    if (isServer(found)) await found.stop();
    if (requests > REQUESTS_MIN && faults === 0) throw new Error(`none of ${requests} requests met with a fault`);
  });
  const server = (): S3Server => {
    if (!isServer(found)) throw new Error(found.skip);
    return found;
  };
  const needing =
    (missing: string | null): NamedTest =>
    (name, body, timeoutMs = TEST_MS_MAX) =>
      missing === null
        ? testNeeding({
            missing: isServer(found) ? null : found.skip,
            requiredBy: 'STDB_TEST_REQUIRE_S3',
            retry: THROWS_MORE,
          })(name, body, timeoutMs)
        : testNeeding({ missing, retry: THROWS_MORE })(name, body, timeoutMs);
  return {
    test: needing(null),
    testNeeding: needing,
    directory: isServer(found) ? found.directory : null,
    server,
    async open(options = {}) {
      const mode: ProxyMode = options.mode ?? { kind: 'faults', fateOf: mildFaults(random) };
      return await openStore(server(), { ...options, mode }, (proxy) => {
        if (mode.kind === 'faults') requests += proxy.requests;
        faults += proxy.faults;
      });
    },
  };
}

async function openStore(
  server: S3Server,
  { mode, record = false }: FaultyStoreOptions & { readonly mode: ProxyMode },
  onClose: (proxy: TcpProxy) => void,
): Promise<FaultyStore> {
  const bucket = await server.makeBucket();
  const proxy = new TcpProxy(server.endpoint, { record });
  await proxy.open();
  proxy.mode = mode;
  const files = await temporaryDirectory();
  let copies = 0;
  const client = (way: 'proxy' | 'direct'): Promise<S3ReplicaClient> =>
    S3ReplicaClient.open({
      bucket,
      prefix: 'some/prefix',
      endpoint: way === 'proxy' ? proxy.endpoint : server.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    });
  return {
    bucket,
    proxy,
    url: s3Url({ ...server, endpoint: proxy.endpoint }, bucket),
    directUrl: s3Url(server, bucket),
    env: s3Credentials(server),
    mode,
    client,
    async asFiles() {
      copies += 1;
      const root = files.at(`${copies}`);
      await using direct = await client('direct');
      await mirror(direct, root);
      return root;
    },
    async [Symbol.asyncDispose]() {
      onClose(proxy);
      await proxy[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
    },
  };
}
