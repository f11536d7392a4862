/**
 * A process that writes one database, and is killed, stopped and started again: SpacetimeDB's own engine through the
 * oracle that STDB_TEST_ORACLE names, else the player beside this file, which knows neither snapshots nor compression.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ORACLE = process.env['STDB_TEST_ORACLE'] ?? '';
const PLAYER = fileURLToPath(new URL('./player.ts', import.meta.url));
const WORDS_MAX = 4000;

/** Whether SpacetimeDB's engine writes and judges. */
export const hasOracle = ORACLE !== '';

export interface WriterOptions {
  readonly directory: string;
  readonly seed: number;
  /** Transactions a second. */
  readonly rate: number;
}

/** A database at rest. */
export interface WriterEnd {
  /** Its last transaction. */
  readonly durable: number;
  /** Of all rows, as the engine told it at its end; null without the engine. */
  readonly contentHash: string | null;
}

const SEGMENT_BYTES = 512 * 1024;
const SNAPSHOT_TRANSACTIONS = 1500;

function command({ directory, seed, rate }: WriterOptions): readonly string[] {
  const common = ['--dir', directory, '--seed', String(seed), '--rate', String(rate)];
  if (!hasOracle) return [process.execPath, PLAYER, ...common, '--segment-size', String(SEGMENT_BYTES)];
  const more = ['--ignore-stdin', '--compress', '--segment-size', String(SEGMENT_BYTES)];
  return [ORACLE, 'gen', ...common, ...more, '--snapshot-every', String(SNAPSHOT_TRANSACTIONS)];
}

export class SoakWriter implements AsyncDisposable {
  readonly directory: string;
  readonly #options: WriterOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();
  /** Its first line: from there on it takes a signal as a wish. */
  #begun: Promise<unknown> = Promise.resolve();
  #end: WriterEnd | null = null;
  #words = '';
  #isExpectedToEnd = false;
  /** How often each kind of line came, in all lives: `segment`, `snapshot`, … */
  readonly events = new Map<string, number>();
  /** Told when it ends by itself. */
  onUnexpectedEnd: (what: string) => void = () => undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.directory = options.directory;
  }

  /** Goes on where the log ends. */
  start(): void {
    const [program = '', ...args] = command(this.#options);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#end = null;
    this.#isExpectedToEnd = false;
    const killWithUs = (): boolean => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#ended = once(child, 'close').then((ended: unknown[]) => {
      process.removeListener('exit', killWithUs);
      if (!this.#isExpectedToEnd) this.onUnexpectedEnd(`the writer ended (${ended.join(' ')}): ${this.#words}`);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#words = (this.#words + text).slice(-WORDS_MAX);
    });
    const lines = createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line));
    this.#begun = Promise.race([once(lines, 'line'), this.#ended]);
  }

  #hear(line: string): void {
    const said = JSON.parse(line) as { event: string; durable?: number; content_hash?: string };
    this.events.set(said.event, (this.events.get(said.event) ?? 0) + 1);
    if (said.event === 'end') this.#end = { durable: said.durable ?? -1, contentHash: said.content_hash ?? null };
  }

  /** As a server is stopped. @throws when it does not tell its end */
  async stop(): Promise<WriterEnd> {
    await this.#begun;
    await this.#finish('SIGTERM');
    if (this.#end === null) throw new Error(`the writer of ${this.directory} told no end: ${this.#words}`);
    return this.#end;
  }

  /** At whatever it is doing. */
  kill(): Promise<void> {
    return this.#finish('SIGKILL');
  }

  async #finish(signal: NodeJS.Signals): Promise<void> {
    this.#isExpectedToEnd = true;
    this.#child?.kill(signal);
    await this.#ended;
    this.#child = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
