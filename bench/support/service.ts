/** `stdb-replicate replicate` as a process of its own, as an operator runs it, with its log as data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cpuSeconds, peakRss } from './linux-process.ts';

export interface ServiceOptions {
  /** The built program, dist/bin.js. */
  readonly program: string;
  /** Where its configuration file may lie. */
  readonly scratch: string;
  readonly databases: readonly { readonly path: string; readonly url: string }[];
  readonly intervalMs?: number;
  /** At `debug` each stored object is a line. */
  readonly logLevel?: 'info' | 'debug';
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Of node, before the program: `--cpu-prof`, say. */
  readonly nodeArguments?: readonly string[];
}

export type LogLine = { readonly time: string; readonly level: string; readonly msg: string } & Readonly<
  Record<string, unknown>
>;

export class Service implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly lines: LogLine[] = [];
  #onLine: () => void = () => {};
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'close').then(([code]) => code as number | null);
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LogLine);
      else process.stderr.write(`${line}\n`);
      this.#onLine();
    });
  }

  /** Resolves when each database is being replicated. */
  static async start(options: ServiceOptions): Promise<Service> {
    const { program, scratch, databases, intervalMs = 1000, logLevel = 'info', env = {}, nodeArguments = [] } = options;
    const config = join(await mkdtemp(join(scratch, 'config-')), 'stdb-replicate.yml');
    // JSON is YAML.
    const content = {
      owner: 'bench',
      log: { level: logLevel, format: 'json' },
      levels: [{ interval: `${intervalMs}ms` }],
      dbs: databases.map(({ path, url }) => ({ path, replica: { url } })),
    };
    await writeFile(config, JSON.stringify(content));
    const child = spawn(process.execPath, [...nodeArguments, program, 'replicate', '-config', config], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const service = new Service(child);
    await service.#until(
      () => service.lines.filter(({ msg }) => msg.startsWith('replicating')).length >= databases.length,
    );
    return service;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the program did not start');
    return this.#child.pid;
  }

  cpuSeconds(): number {
    return cpuSeconds(this.pid);
  }

  peakRss(): number {
    return peakRss(this.pid) ?? 0;
  }

  /** Sends SIGTERM, and requires that all was stored. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const code = await this.#ended;
    if (code !== 0) throw new Error(`the program ended with ${code}: ${JSON.stringify(this.lines.slice(-3))}`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async #until(condition: () => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (condition()) resolve();
      };
      this.#onLine = look;
      void this.#ended.then((code) => {
        reject(new Error(`the program ended with ${code}: ${JSON.stringify(this.lines.slice(-3))}`));
      });
      look();
    });
    this.#onLine = () => {};
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }
}
