/** A real database beside a store in memory, and replicators between them. */
import { expect } from 'vitest';
import { copyVector, type ReplicaVector } from '../vectors/vectors.ts';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../../src/layout/generation-document.ts';
import { decodeHeadDocument, encodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { generationKey, type LogObjectName, parseKey } from '../../src/layout/keys.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import { readBody } from '../../src/replica/replica-client.ts';
import { Replicator, type ReplicatorOptions } from '../../src/replicate/replicator.ts';
import { identifyWriter } from '../../src/replicate/writer.ts';
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts';

type Options = Partial<ReplicatorOptions> & { readonly owner?: string };

export class ReplicatorScene implements AsyncDisposable {
  readonly client = new MemoryReplicaClient();
  readonly database: string;
  readonly #place: TemporaryDirectory;

  private constructor(place: TemporaryDirectory) {
    this.#place = place;
    this.database = place.at('replica');
  }

  static async open(vector: ReplicaVector = 'v2-small'): Promise<ReplicatorScene> {
    const scene = new ReplicatorScene(await temporaryDirectory());
    copyVector(vector, scene.database);
    return scene;
  }

  /** A path in the database's directory. */
  at(...names: readonly string[]): string {
    return this.#place.at('replica', ...names);
  }

  /** A path beside it. */
  beside(name: string): string {
    return this.#place.at(name);
  }

  async replicator({ owner = 'game-0', ...options }: Options = {}): Promise<Replicator> {
    return new Replicator({
      database: this.database,
      files: diskFiles,
      client: this.client,
      writer: await identifyWriter({ owner, version: '0.0.0' }),
      leaseTtlMs: 60_000,
      intervalMs: 20,
      compressionLevel: 1,
      budget: new ByteBudget(96 * 1024 * 1024),
      clock: systemClock,
      log: silentLog,
      once: true,
      ...options,
    });
  }

  async runOnce(options: Options = {}): Promise<Replicator> {
    const one = await this.replicator(options);
    await one.run(new AbortController().signal);
    return one;
  }

  /** A pass over a database with a snapshot that cannot be stored: it does all else, and ends with that failure. */
  async runOnceFailing(code: string, options: Options = {}): Promise<Replicator> {
    const one = await this.replicator(options);
    await expect(one.run(new AbortController().signal)).rejects.toMatchObject({ code });
    return one;
  }

  async keys(prefix = ''): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.client.list(prefix)) found.push(key);
    return found;
  }

  async logObjects(): Promise<LogObjectName[]> {
    return (await this.keys('generations/')).flatMap((key) => {
      const parsed = parseKey(key);
      return parsed?.kind === 'log' ? [parsed.name] : [];
    });
  }

  async manifests(): Promise<string[]> {
    return (await this.keys('generations/')).filter((key) => parseKey(key)?.kind === 'manifest');
  }

  async head(): Promise<HeadDocument> {
    return decodeHeadDocument(await readBody(await this.client.get('head.json'), 65_536));
  }

  /** Of the generation that head.json names. */
  async generation(): Promise<GenerationDocument> {
    const key = generationKey((await this.head()).generation);
    return decodeGenerationDocument(await readBody(await this.client.get(key), 65_536), { key });
  }

  /** Writes the head anew as not released, held by a process of this machine that is no more. */
  async killHolder(change: Partial<HeadDocument> = {}): Promise<void> {
    const document = await this.head();
    const process = { ...document.process, pid: 2 ** 22 + 1, startTime: '1' };
    await this.client.put('head.json', encodeHeadDocument({ ...document, process, released: false, ...change }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place[Symbol.asyncDispose]();
  }
}
