/** SpacetimeDB's own engine as the judge of directories, through the oracle binary that STDB_TEST_ORACLE names. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const ORACLE = process.env['STDB_TEST_ORACLE'] ?? '';

/** Why tests that need the judge cannot run; null when they can. */
export const oracleMissing: string | null =
  ORACLE === '' ? "STDB_TEST_ORACLE does not name the oracle, SpacetimeDB's engine as a judge" : null;

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** What the engine makes of a directory. Transaction offsets are small numbers here. */
export interface Verdict {
  readonly ok: boolean;
  readonly error?: string;
  /** The last transaction found in the log. */
  readonly durable: number;
  readonly first_segment: number;
  readonly snapshot_used: number | null;
  readonly identity: string;
  /** Over all rows of all tables. */
  readonly content_hash: string;
  /** Over the rows of the users' tables. */
  readonly user_hash: string;
  readonly warnings: readonly string[];
}

export interface JudgeOptions {
  /** Look at the state after this transaction. */
  readonly until?: number;
  readonly ignoreSnapshots?: boolean;
  readonly ignoreIndex?: boolean;
}

/** Opens a copy of `directory` in the engine; `ok` is false where that refuses it. */
export async function judge(
  directory: string,
  { until, ignoreSnapshots = false, ignoreIndex = false }: JudgeOptions = {},
): Promise<Verdict> {
  const args = ['check', '--dir', directory, '--brief'];
  if (until !== undefined) args.push('--until', String(until));
  if (ignoreSnapshots) args.push('--ignore-snapshots');
  if (ignoreIndex) args.push('--ignore-index');
  const { stdout } = await promisify(execFile)(ORACLE, args, { maxBuffer: OUTPUT_BYTES_MAX }).catch(
    (failed: Error & { stdout?: string }) => {
      // A refusal is an answer, with an exit code that is not 0.
      if (failed.stdout) return { stdout: failed.stdout };
      throw failed;
    },
  );
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Verdict;
}

export interface GeneratorEnd {
  readonly durable: number;
  readonly content_hash: string;
}

/** A database that the real engine writes, in a process of its own, until it is told to stop. */
export class Generator implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #words = '';
  /** How often each kind of line came: `durable`, `snapshot`, `segment`, … */
  readonly events = new Map<string, number>();
  #end: GeneratorEnd | null = null;

  constructor(directory: string, options: readonly string[]) {
    const child = spawn(ORACLE, ['gen', '--dir', directory, '--ignore-stdin', ...options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#ended = once(child, 'close');
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#words += text));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line) as { event: string } & GeneratorEnd;
      this.events.set(said.event, (this.events.get(said.event) ?? 0) + 1);
      if (said.event === 'end') this.#end = said;
    });
  }

  /** Stops it as a server is stopped, and gives the last durable transaction and its content. */
  async stop(): Promise<GeneratorEnd> {
    this.#child.kill('SIGTERM');
    await this.#ended;
    if (this.#end === null) throw new Error(`the generator did not end as it should: ${this.#words}`);
    return this.#end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
