/**
 * The real program between a database that grows and a real S3 server, with a proxy in the way; and what must hold after
 * any outage: all is stored, in few objects, what was sent twice was the same, and a restore equals the source.
 */
import { expect } from 'vitest';
import { parseKey } from '../../src/layout/keys.ts';
import { vectorDirectory } from '../vectors/vectors.ts';
import { compareRestored } from './compare-restored.ts';
import { type DatabaseBesideStore, databaseBesideStore, runWell, writeConfig } from './database-beside-store.ts';
import { GrowingDatabase } from './growing-database.ts';
import { type RunningProgram, startProgram } from './program.ts';
import { type RecordedDatabase, readDatabase } from './recorded-database.ts';
import { s3Credentials, s3Url } from './s3-place.ts';
import type { S3Server } from './s3-server.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Short, so that outages of seconds are long ones. */
export const INTERVAL_MS = 100;
const LINES = ['owner: game-0', 'levels:', `  - interval: ${INTERVAL_MS}ms`];

export interface OutageSceneOptions {
  readonly record?: boolean;
  /** Default 1 s. */
  readonly requestTimeout?: string;
  /** More lines of the configuration. */
  readonly more?: readonly string[];
}

interface StoredLine {
  readonly first: bigint;
  readonly last: bigint;
}

export class OutageScene implements AsyncDisposable {
  readonly place: DatabaseBesideStore;
  readonly proxy: TcpProxy;
  readonly program: RunningProgram;
  readonly growing: GrowingDatabase;
  readonly recorded: RecordedDatabase;
  readonly #directUrl: string;
  readonly #env: Record<string, string>;

  private constructor(
    parts: Pick<OutageScene, 'place' | 'proxy' | 'program' | 'growing' | 'recorded'>,
    direct: { url: string; env: Record<string, string> },
  ) {
    this.place = parts.place;
    this.proxy = parts.proxy;
    this.program = parts.program;
    this.growing = parts.growing;
    this.recorded = parts.recorded;
    this.#directUrl = direct.url;
    this.#env = direct.env;
  }

  /** The first third of the recording is written and stored. */
  static async open(
    server: S3Server,
    { record = false, requestTimeout = '1s', more = [] }: OutageSceneOptions = {},
  ): Promise<OutageScene> {
    const place = await databaseBesideStore(null);
    const proxy = new TcpProxy(server.endpoint, { record });
    await proxy.open();
    const bucket = await server.makeBucket();
    const env = s3Credentials(server);
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const growing = new GrowingDatabase(place.database, recorded);
    await growing.create();
    while (growing.lastTx < 100n) await growing.writeCommit();
    const url = s3Url({ ...server, endpoint: proxy.endpoint }, bucket);
    const config = await writeConfig(place.at('config.yml'), {
      ...place,
      url,
      more: [...LINES, `request-timeout: ${requestTimeout}`, ...more],
    });
    const args = ['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config];
    const program = startProgram(args, { env });
    const scene = new OutageScene({ place, proxy, program, growing, recorded }, { url: s3Url(server, bucket), env });
    await scene.hasStored(growing.lastTx);
    return scene;
  }

  /** Log objects of which the program said that they are stored, in that order. */
  stored(): StoredLine[] {
    return [...this.program.stderr.matchAll(/^.*"key":"([^"]+\.zst)".*"msg":"stored".*$/gm)].flatMap(([, key]) => {
      const parsed = parseKey(key ?? '');
      return parsed?.kind === 'log' ? [{ first: parsed.name.first, last: parsed.name.last }] : [];
    });
  }

  /** Attempts that failed, as the program says it. */
  failures(): number {
    return this.program.stderr.split('a call to the store failed; trying again').length - 1;
  }

  /** Until everything up to there is stored. */
  async hasStored(tx: bigint): Promise<void> {
    await this.program.until(() => this.#storedTo() >= tx, `transaction ${tx} to be stored`);
  }

  #storedTo(): bigint {
    let to = -1n;
    for (const { first, last } of this.stored().toSorted((a, b) => Number(a.first - b.first))) {
      if (first > to + 1n) break;
      to = last;
    }
    return to;
  }

  /** Writes what is left, ends the program well, and compares a restore with the source. */
  async finish(): Promise<void> {
    await this.growing.finish();
    await this.hasStored(this.growing.lastTx);
    this.program.kill('SIGTERM');
    const { code, stderr } = await this.program.ended();
    expect(code, stderr).toBe(0);
    await runWell(['restore', '-o', this.place.restored, this.#directUrl], { env: this.#env });
    const { differences } = await compareRestored({ ...this.recorded, snapshots: [] }, this.place.restored);
    expect(differences).toEqual([]);
    // Stored once: each commit is in one of the objects that it said it stored.
    let next = 0n;
    for (const { first, last } of this.stored().toSorted((a, b) => Number(a.first - b.first))) {
      expect(first).toBe(next);
      next = last + 1n;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    await this.proxy[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}
