/**
 * The built program between a directory that moves and an S3 server behind a bad line, and what must hold whatever moved: the source is only read, nothing is
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
import type { FaultyStore } from './faulty-s3.ts';
import { lastTxOf, readDatabase, type RecordedDatabase } from './recorded-database.ts';
import { StoredLines } from './stored-lines.ts';
import { readStored, type StoredDatabase } from './stored-log.ts';
import type { TcpProxy } from './tcp-proxy.ts';
import { treeFacts } from './tree-facts.ts';

const CONFIG = ['owner: game-0', 'levels:', '  - interval: 100ms'];

export interface FinishOptions {
  /** The first transaction of the head's line. Default 0. */
  readonly from?: bigint;
  /** What must come back. Default: the directory as it is. */
  readonly source?: RecordedDatabase;
}

export class MovingScene implements AsyncDisposable {
  readonly place: DatabaseBesideStore;
  readonly database: ModelDatabase;
  readonly #store: FaultyStore;
  #program: RunningProgram | null = null;
  /** What ended programs have said. */
  #words = '';
  /** Every commit that was whole at some time. */
  readonly #seen = new Set<string>();

  private constructor(place: DatabaseBesideStore, store: FaultyStore) {
    this.place = place;
    this.database = new ModelDatabase(place.database);
    this.#store = store;
  }

  /** @param store closed by the scene */
  static async open(store: FaultyStore): Promise<MovingScene> {
    return new MovingScene(await databaseBesideStore(null), store);
  }

  get proxy(): TcpProxy {
    return this.#store.proxy;
  }

  /** The line as the store's opener wanted it, after something else was done to it. */
  mendLine(): void {
    this.proxy.mode = this.#store.mode;
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
      url: this.#store.url,
      more: CONFIG,
    });
    this.#program = startProgram(['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config], {
      env: this.#store.env,
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
    return await readStored(await this.#store.asFiles());
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
    const root = await this.#store.asFiles();
    const lines = await StoredLines.read(root, await readStored(root));
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
    const { url, env } = this.#store;
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
    await this.#store[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}

/** Lets a reader see what lies between two changes. */
export const aMoment = (): Promise<void> => delay(40);
