/**
 * The built program beside a directory that moves, and what must hold whatever moved: the source is only read, nothing is
 * stored that was not a whole commit of it at some time, each line is unbroken, and a restore gives back what is due.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { parseKey } from '../../src/layout/keys.ts';
import { compareRestored } from './compare-restored.ts';
import { dueOf } from './data-sets.ts';
import { type DatabaseBesideStore, databaseBesideStore, runWell, writeConfig } from './database-beside-store.ts';
import { ModelDatabase } from './model-database.ts';
import { type RunningProgram, startProgram } from './program.ts';
import { lastTxOf, readDatabase, type RecordedDatabase } from './recorded-database.ts';
import { s3Credentials, s3Url } from './s3-place.ts';
import type { S3Server } from './s3-server.ts';
import { StoredLines } from './stored-lines.ts';
import { readStored, type StoredDatabase } from './stored-log.ts';
import { treeFacts } from './tree-facts.ts';

const CONFIG = ['owner: game-0', 'levels:', '  - interval: 100ms'];

export interface MovingSceneOptions {
  /** Stores there; default: a `file:` store. One whose objects can be read as files. */
  readonly server?: S3Server;
  /** In the place of the server's own: of a proxy before it. */
  readonly endpoint?: string;
}

interface Destination {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where the objects lie as files. */
  readonly root: string;
}

export interface FinishOptions {
  /** The first transaction of the head's line. Default 0. */
  readonly from?: bigint;
  /** What must come back. Default: the directory as it is. */
  readonly source?: RecordedDatabase;
}

export class MovingScene implements AsyncDisposable {
  readonly place: DatabaseBesideStore;
  readonly database: ModelDatabase;
  readonly #destination: Destination;
  #program: RunningProgram | null = null;
  /** What ended programs have said. */
  #words = '';
  /** Every commit that was whole at some time. */
  readonly #seen = new Set<string>();

  private constructor(place: DatabaseBesideStore, destination: Destination) {
    this.place = place;
    this.database = new ModelDatabase(place.database);
    this.#destination = destination;
  }

  static async open({ server, endpoint }: MovingSceneOptions = {}): Promise<MovingScene> {
    const place = await databaseBesideStore(null);
    if (server === undefined) return new MovingScene(place, { url: place.url, env: {}, root: place.store });
    const bucket = await server.makeBucket();
    const url = s3Url({ ...server, endpoint: endpoint ?? server.endpoint }, bucket);
    const root = join(server.directory ?? '', bucket, 'some/prefix');
    return new MovingScene(place, { url, env: s3Credentials(server), root });
  }

  /** A path in the database's directory. */
  at(...names: readonly string[]): string {
    return join(this.place.database, ...names);
  }

  /** All that the program has said so far. */
  get words(): string {
    return this.#words + (this.#program?.stderr ?? '');
  }

  async start(): Promise<void> {
    const config = await writeConfig(this.place.at('config.yml'), {
      database: this.place.database,
      url: this.#destination.url,
      more: CONFIG,
    });
    this.#program = startProgram(['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config], {
      env: this.#destination.env,
    });
    await this.#program.says(/"msg":/);
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stops the program where it is, until `resume`. */
  suspend(): void {
    this.#program?.kill('SIGSTOP');
  }

  resume(): void {
    this.#program?.kill('SIGCONT');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const program = this.#program;
    if (program === null) throw new Error('no program runs');
    program.kill(signal);
    const { code, stderr } = await program.ended();
    this.#words += stderr;
    this.#program = null;
    if (signal === 'SIGTERM') expect(code, stderr).toBe(0);
  }

  /** To be told before commits go that the program may have stored. */
  async remember(): Promise<void> {
    for (const { bytes } of await this.database.log()) this.#seen.add(Buffer.from(bytes).toString('hex'));
  }

  /** Takes a snapshot as a server does: its lock goes when all is there. */
  async takeSnapshot(tx: bigint): Promise<void> {
    const lock = this.at('snapshots', `${tx.toString().padStart(20, '0')}.lock`);
    await mkdir(dirname(lock), { recursive: true });
    await writeFile(lock, '');
    await this.database.snapshot(tx);
    await rm(lock);
  }

  /** Until the program has said what. */
  async says(pattern: RegExp): Promise<void> {
    await this.until(() => pattern.test(this.words), `it to say ${pattern}`);
  }

  /** Until all that is whole now is stored; and the program has left no trace in the directory. */
  async caughtUp(): Promise<void> {
    await this.remember();
    const before = await treeFacts(this.place.database);
    const last = (await this.database.log()).at(-1);
    const isStored = (): boolean =>
      [...this.words.matchAll(/"key":"([^"]+\.zst)".*"msg":"stored"/g)].some(([, key]) => {
        const parsed = parseKey(key ?? '');
        return parsed?.kind === 'log' && parsed.name.last === last?.last && parsed.name.crc === last.crc;
      });
    await this.until(isStored, `transaction ${last?.last} to be stored`);
    expect(await treeFacts(this.place.database)).toEqual(before);
  }

  async snapshotStored(tx: bigint): Promise<void> {
    await this.says(new RegExp(`"tx":"?${tx}"?,.*"msg":"snapshot stored"`));
  }

  /** Asks again and again while the program runs. */
  async until(holds: () => boolean, what: string): Promise<void> {
    if (this.#program === null) throw new Error('no program runs');
    await this.#program.until(holds, what);
  }

  async stored(): Promise<StoredDatabase> {
    return await readStored(this.#destination.root);
  }

  /** Why each generation began, ascending. */
  async reasons(): Promise<string[]> {
    return (await this.stored()).generations.map(({ reason }) => reason);
  }

  /** Restores another line than the head's, which must equal `source` as far as it goes. */
  async expectGeneration(number: string, source: RecordedDatabase): Promise<void> {
    await this.#restore(['-generation', number], source, 0n);
  }

  /** Ends the program well; judges all that is stored; restores, and compares. Gives the restored directory. */
  async finish({ from = 0n, source }: FinishOptions = {}): Promise<string> {
    await this.remember();
    const before = await treeFacts(this.place.database);
    await this.#end('SIGTERM');
    expect(await treeFacts(this.place.database)).toEqual(before);
    const stored = await this.stored();
    const lines = await StoredLines.read(this.#destination.root, stored);
    for (const name of lines.names) {
      const { commits, faults } = await lines.line(name);
      expect(faults).toEqual([]);
      for (const { bytes, firstTx } of commits) {
        expect(this.#seen.has(bytes.toString('hex')), `${name} holds ${firstTx}, which never was in the log`).toBe(
          true,
        );
      }
    }
    return await this.#restore([], source ?? (await readDatabase(this.place.database)), from);
  }

  async #restore(args: readonly string[], source: RecordedDatabase, from: bigint): Promise<string> {
    const { url, env } = this.#destination;
    const target = this.place.at(`restored-${args.at(-1) ?? 'default'}`);
    await runWell(['restore', ...args, '-o', target, url], { env });
    const last = lastTxOf(source);
    const due = dueOf(source, { from, last, snapshot: last });
    expect(due.segments.length).toBeGreaterThan(0);
    expect((await compareRestored(due, target)).differences).toEqual([]);
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}

/** Lets a reader see what lies between two changes. */
export const aMoment = (): Promise<void> => delay(40);
