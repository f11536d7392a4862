/**
 * One epoch's processes and places: two databases with their writers, one replicator, an S3 server behind a proxy and a
 * directory as destinations. Fresh for each epoch, so that a soak of days needs the disk of minutes.
 *
 * Responsible for: what is there, and what the program was heard to say is stored. Not responsible for: what is done to it.
 */
import { appendFileSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { runProgram, type ProgramResult } from '../support/program.ts';
import { s3Credentials, s3Url } from '../support/s3-place.ts';
import { isServer, s3Server, type S3Server } from '../support/s3-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { SoakReplicator } from './soak-replicator.ts';
import { SoakWriter } from './soak-writer.ts';
import type { Tally } from './tally.ts';

const DATABASES = 2;
/** Of `s3Url`. */
const S3_PREFIX = 'some/prefix';
const RESTORE_MS_MAX = 300_000;

/** One database at one destination. */
export interface Pair {
  readonly name: string;
  readonly writer: SoakWriter;
  /** Around the proxy: a restore asks the store itself. */
  readonly directUrl: string;
  /** As metrics name the destination. */
  readonly scheme: 's3' | 'file';
  /** The greatest transaction that the program told to be stored; -1 before that. */
  acknowledged: bigint;
}

export interface SceneOptions {
  readonly directory: string;
  readonly seed: number;
  readonly rate: number;
  readonly tally: Tally;
}

/** No S3 server is to be had: nothing was tried. */
export class MissingServerError extends Error {}

export class Scene implements AsyncDisposable {
  readonly directory: string;
  readonly tally: Tally;
  readonly writers: readonly SoakWriter[];
  readonly pairs: readonly Pair[];
  readonly replicator: SoakReplicator;
  readonly proxy: TcpProxy;
  readonly #server: S3Server;
  readonly #buckets: readonly string[];
  readonly #env: Record<string, string>;
  #restores = 0;

  private constructor(parts: {
    options: SceneOptions;
    server: S3Server;
    proxy: TcpProxy;
    buckets: readonly string[];
    addr: string;
  }) {
    const { options, server, proxy, buckets, addr } = parts;
    this.directory = options.directory;
    this.tally = options.tally;
    this.#server = server;
    this.#buckets = buckets;
    this.#env = s3Credentials(server);
    this.proxy = proxy;
    this.writers = buckets.map(
      (_, index) =>
        new SoakWriter({
          directory: this.at(`database-${index}`),
          seed: options.seed + index,
          rate: options.rate / buckets.length,
        }),
    );
    this.pairs = this.writers.flatMap((writer, index) =>
      (['s3', 'file'] as const).map((scheme) => ({
        name: `database ${index} at ${scheme}`,
        writer,
        scheme,
        directUrl: scheme === 's3' ? s3Url(server, buckets[index] ?? '') : `file://${this.at(`store-${index}`)}`,
        acknowledged: -1n,
      })),
    );
    const words = this.at('replicator.log');
    this.replicator = new SoakReplicator({ config: this.at('config.yml'), addr, env: this.#env, words });
    const report = (what: string): void => this.tally.note(what);
    this.replicator.onUnexpectedEnd = report;
    for (const writer of this.writers) writer.onUnexpectedEnd = report;
  }

  /** Nothing runs yet but the store. @throws MissingServerError */
  static async open(options: SceneOptions): Promise<Scene> {
    const server = await s3Server();
    if (!isServer(server)) throw new MissingServerError(server.skip);
    const proxy = new TcpProxy(server.endpoint);
    await proxy.open();
    const buckets = await Promise.all(Array.from({ length: DATABASES }, () => server.makeBucket()));
    const addr = `127.0.0.1:${await freePort()}`;
    const scene = new Scene({ options, server, proxy, buckets, addr });
    await scene.#configure(addr);
    return scene;
  }

  at(name: string): string {
    return join(this.directory, name);
  }

  async #configure(addr: string): Promise<void> {
    const dbs = await Promise.all(
      this.writers.map(async ({ directory }, index) => {
        await mkdir(this.at(`store-${index}`), { recursive: true });
        const near = s3Url({ ...this.#server, endpoint: this.proxy.endpoint }, this.#buckets[index] ?? '');
        return { path: directory, replicas: [{ url: near }, { url: `file://${this.at(`store-${index}`)}` }] };
      }),
    );
    const lines = [
      `addr: ${addr}`,
      'owner: soak',
      'lease-ttl: 5s',
      'request-timeout: 3s',
      'shutdown-timeout: 5s',
      // JSON is YAML.
      `dbs: ${JSON.stringify(dbs)}`,
    ];
    await writeFile(this.at('config.yml'), `${lines.join('\n')}\n`);
  }

  start(): void {
    for (const writer of this.writers) writer.start();
    this.replicator.start();
  }

  /** Restores a pair into a new directory; whoever asks removes it. */
  async restore({ directUrl }: Pair): Promise<{ directory: string; result: ProgramResult }> {
    this.#restores += 1;
    const directory = this.at(`restored-${this.#restores}`);
    const args = ['restore', '-progress', 'none', '-o', directory, directUrl];
    return { directory, result: await runProgram(args, { env: this.#env, timeoutMs: RESTORE_MS_MAX }) };
  }

  /** Looks once at what the program tells. @param isCalm whether its lag means anything */
  async observe(isCalm: boolean): Promise<void> {
    const [found, memory] = await Promise.all([this.replicator.scrape(), this.replicator.peakMemory()]);
    this.tally.memoryMax = Math.max(this.tally.memoryMax, memory ?? 0);
    for (const { name, labels, value } of found ?? []) {
      const pair = this.pairs.find(
        ({ writer, scheme }) =>
          labels.includes(`database="${writer.directory}"`) && labels.includes(`destination="${scheme}:`),
      );
      if (pair === undefined) continue;
      if (name === 'stored_tx_offset' && BigInt(value) > pair.acknowledged) pair.acknowledged = BigInt(value);
      if (name === 'lag_seconds' && isCalm) this.tally.addLag(value);
    }
  }

  /** Keeps what was done, and when, beside what the program said. */
  trace(what: string): void {
    appendFileSync(this.at('disturbances.log'), `${new Date().toISOString()} ${what}\n`);
  }

  /** Where segments go that are pruned. */
  prunedOf(database: string): string {
    return `${database}-pruned`;
  }

  /** The stores' own files, where they lie on this machine, and the database that each holds. */
  stores(): { readonly root: string; readonly source: string }[] {
    const { directory } = this.#server;
    return this.writers.flatMap(({ directory: source }, index) => [
      { root: this.at(`store-${index}`), source },
      ...(directory === null ? [] : [{ root: join(directory, this.#buckets[index] ?? '', S3_PREFIX), source }]),
    ]);
  }

  /** Counts what the stores hold, at the end of an epoch. */
  async countStores(): Promise<void> {
    for (const { root: place } of this.stores()) {
      const names = await readdir(place, { recursive: true });
      for (const name of names) {
        if (name.endsWith('/generation.json')) {
          const { reason } = JSON.parse(await readFile(join(place, name), 'utf8')) as { reason: string };
          this.tally.addTo('generations', reason);
        } else if (/\/log\/\d+\/\d{20}\/.*\.zst$/.test(name)) this.tally.add('log objects');
        else if (name.endsWith('/manifest.ndjson.zst')) this.tally.add('stored snapshots');
      }
    }
    this.tally.add('requests to the S3 store', this.proxy.requests);
    for (const { events } of this.writers) {
      this.tally.add('segments', events.get('segment') ?? 0);
      this.tally.add('snapshots', events.get('snapshot') ?? 0);
    }
  }

  /** The S3 server's objects beside the rest, for who looks for the cause of an anomaly. */
  async keepObjects(): Promise<void> {
    if (this.#server.directory !== null) await cp(this.#server.directory, this.at('s3'), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.replicator, ...this.writers].map((each) => each[Symbol.asyncDispose]()));
    await this.proxy[Symbol.asyncDispose]();
    await this.#server.stop();
    if (this.tally.anomalies.length === 0) await rm(this.directory, { recursive: true, force: true });
  }
}
