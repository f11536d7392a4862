/** The built program as a service that is killed, frozen and restarted, and what it tells at its metrics endpoint. */
import { appendFile, readFile } from 'node:fs/promises';
import { type ProgramResult, type RunningProgram, startProgram } from '../support/program.ts';

const SCRAPE_MS_MAX = 2000;
/** No life of a process is longer. */
const LIFE_MS_MAX = 2_000_000_000;

export interface Metric {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

export interface ReplicatorOptions {
  readonly config: string;
  readonly addr: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where what it says is kept. */
  readonly words: string;
}

export class SoakReplicator implements AsyncDisposable {
  readonly #options: ReplicatorOptions;
  #program: RunningProgram | null = null;
  #isExpectedToEnd = false;
  /** Told when it ends by itself. */
  onUnexpectedEnd: (what: string) => void = () => undefined;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
  }

  start(): void {
    const { config, env } = this.#options;
    const args = ['replicate', '-log-format', 'json', '-config', config];
    const program = startProgram(args, { env, timeoutMs: LIFE_MS_MAX });
    this.#program = program;
    this.#isExpectedToEnd = false;
    void program.ended().then((result) => {
      if (!this.#isExpectedToEnd) this.onUnexpectedEnd(`the replicator ended: ${describe(result)}`);
    });
  }

  /** Ends it, and waits for that. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<ProgramResult | null> {
    const program = this.#program;
    if (program === null) return null;
    this.#isExpectedToEnd = true;
    program.kill(signal);
    const result = await program.ended();
    this.#program = null;
    await appendFile(this.#options.words, `${result.stderr}--- ${signal}: ${result.code ?? result.signal}\n`);
    return result;
  }

  freeze(): void {
    this.#program?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#program?.kill('SIGCONT');
  }

  /** Everything that it tells; null while it does not answer. */
  async scrape(): Promise<readonly Metric[] | null> {
    if (this.#program === null) return null;
    let text: string;
    try {
      const signal = AbortSignal.timeout(SCRAPE_MS_MAX);
      text = await (await fetch(`http://${this.#options.addr}/metrics`, { signal })).text();
    } catch {
      // Not yet up, frozen, or killed.
      return null;
    }
    return text.split('\n').flatMap((line) => {
      const [, name = '', labels = '', value] = /^stdb_replicate_([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return value === undefined ? [] : [{ name, labels, value: Number(value) }];
    });
  }

  /** Its greatest resident memory so far, in bytes, as the kernel tells it; null when it does not run. */
  async peakMemory(): Promise<number | null> {
    if (this.#program === null) return null;
    const status = await readFile(`/proc/${this.#program.pid}/status`, 'utf8').catch(() => '');
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}

const describe = ({ code, signal, stderr }: ProgramResult): string => `${code ?? signal}\n${stderr.slice(-3000)}`;
