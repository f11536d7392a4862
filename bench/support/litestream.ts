/**
 * Litestream beside this program, in the same run: an SQLite database that grows at the same rate by rows as long as the
 * commits, to the same S3 server, at the same interval. Its program is named by STDB_BENCH_LITESTREAM, or is on PATH.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findOnPath } from '../../test/support/server-process.ts';
import type { BenchStore } from './bench-store.ts';
import { cpuSeconds, peakRss } from './linux-process.ts';
import { type CommandCost, runCommand } from './run-command.ts';
import type { SqliteOrder, SqliteReport } from './sqlite-writer.ts';

const WRITER = fileURLToPath(new URL('sqlite-writer.ts', import.meta.url));
/** Place of the time, in milliseconds since 1970, in the header of an LTX file. */
const LTX_TIME_AT = 32;
const LOOK_MS = 10;

export interface LitestreamDatabase {
  /** The file. */
  readonly path: string;
  readonly bucket: string;
  readonly prefix: string;
}

export const findLitestream = async (): Promise<string | null> =>
  process.env['STDB_BENCH_LITESTREAM'] ?? (await findOnPath('litestream'));

export async function writeRows(order: SqliteOrder): Promise<SqliteReport> {
  const { stdout } = await runCommand([process.execPath, '--no-warnings', WRITER, JSON.stringify(order)], {
    keepAll: true,
  });
  return JSON.parse(stdout) as SqliteReport;
}

interface Setting {
  readonly binary: string;
  readonly scratch: string;
  readonly s3: BenchStore;
  readonly databases: readonly LitestreamDatabase[];
  readonly intervalMs?: number;
}

async function writeConfig({ scratch, s3, databases, intervalMs = 1000 }: Setting): Promise<string> {
  const config = join(await mkdtemp(join(scratch, 'config-')), 'litestream.yml');
  const interval = `${intervalMs}ms`;
  const dbs = databases.map(({ path, bucket, prefix }) => ({
    path,
    'monitor-interval': interval,
    replica: {
      type: 's3',
      bucket,
      path: prefix,
      endpoint: s3.endpoint,
      region: 'us-east-1',
      'force-path-style': true,
      'sync-interval': interval,
    },
  }));
  // JSON is YAML.
  await writeFile(config, JSON.stringify({ dbs, logging: { level: 'warn' } }));
  return config;
}

/** One pass of `litestream replicate -once`. */
export async function litestreamOnce(setting: Setting): Promise<CommandCost> {
  const config = await writeConfig(setting);
  return await runCommand([setting.binary, 'replicate', '-config', config, '-once'], { env: setting.s3.env });
}

export async function litestreamRestore(setting: Setting, target: string): Promise<CommandCost> {
  const config = await writeConfig(setting);
  const [database] = setting.databases;
  if (database === undefined) throw new Error('no database to restore');
  const command = [setting.binary, 'restore', '-config', config, '-o', target, database.path];
  return await runCommand(command, { env: setting.s3.env });
}

/** `litestream replicate` as a process of its own. */
export class Litestream implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'close');
  }

  static async start(setting: Setting): Promise<Litestream> {
    const config = await writeConfig(setting);
    const child = spawn(setting.binary, ['replicate', '-config', config], {
      env: { ...process.env, ...setting.s3.env },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await once(child, 'spawn');
    return new Litestream(child);
  }

  #pid(): number {
    if (this.#child.pid === undefined || this.#child.exitCode !== null) throw new Error('litestream has ended');
    return this.#child.pid;
  }

  cpuSeconds(): number {
    return cpuSeconds(this.#pid());
  }

  peakRss(): number {
    return peakRss(this.#pid()) ?? 0;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.end('SIGKILL');
  }
}

/** When an object was made from the database, and when it lay in the store; milliseconds since 1970. */
interface StoredLtx {
  readonly made: number;
  readonly stored: number;
}

/**
 * Notes each object that appears in a bucket, until it is disposed of: Litestream removes small ones soon. An object counts as
 * stored at the time of its file, which is the end of its upload.
 */
export class LtxWatch implements Disposable {
  readonly #directory: string;
  readonly #found = new Map<string, StoredLtx>();
  readonly #timer: NodeJS.Timeout;

  constructor(directory: string) {
    this.#directory = directory;
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  #look(): void {
    for (const name of readdirSync(this.#directory, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ltx') || this.#found.has(name)) continue;
      const path = join(this.#directory, name);
      try {
        this.#found.set(name, { made: readMadeTime(path), stored: statSync(path).mtimeMs });
      } catch (error) {
        // Compacted away in between; the object that it became has the same commits.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  /** For each commit its lag in milliseconds, NaN where no object was made after it. */
  lagsOf(times: readonly number[]): number[] {
    this.#look();
    const objects = [...this.#found.values()].sort((a, b) => a.stored - b.stored);
    return times.map((time) => {
      const first = objects.find(({ made }) => made >= time);
      return first === undefined ? Number.NaN : first.stored - time;
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function readMadeTime(path: string): number {
  const file = openSync(path, 'r');
  try {
    const time = Buffer.alloc(8);
    if (readSync(file, time, { position: LTX_TIME_AT }) < time.byteLength) return 0;
    return Number(time.readBigUInt64BE());
  } finally {
    closeSync(file);
  }
}
