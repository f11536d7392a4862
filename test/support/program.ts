/**
 * The built program as its own process: the way a user runs it. STDB_TEST_BIN names another build than `dist`.
 *
 * Invariant: no process outlives the test runner, and none sees the runner's own configuration or credentials.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

export const PROGRAM = process.env['STDB_TEST_BIN'] ?? fileURLToPath(new URL('../../dist/bin.js', import.meta.url));

/** For hangs: nothing that a test runs takes so long. */
const RUN_MS_MAX = 100_000;

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  /** Run as this user: for what root may do and others may not. */
  readonly uid?: number;
}

export interface ProgramResult {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class RunningProgram implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<ProgramResult>;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess, timeoutMs: number) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    running.add(child);
    const timer = setTimeout(() => {
      this.stderr += `\nkilled by the test after ${timeoutMs} ms\n`;
      child.kill('SIGKILL');
    }, timeoutMs);
    this.#ended = once(child, 'close').then(([code, signal]: unknown[]) => {
      clearTimeout(timer);
      running.delete(child);
      const { stdout, stderr } = this;
      return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr };
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  ended(): Promise<ProgramResult> {
    return this.#ended;
  }

  /** @throws when the program ends without having said it */
  async says(pattern: RegExp): Promise<void> {
    await this.until(() => pattern.test(this.stderr), `it to say ${pattern}`);
  }

  /** Asks again and again. @throws when the program ends first */
  async until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    while (!(await holds())) {
      const over = await Promise.race([this.#ended, pause(20)]);
      if (over && !(await holds())) {
        throw new Error(`waited for ${what}, but the program ended (${over.code ?? over.signal}):\n${over.stderr}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGKILL');
    await this.#ended;
  }
}

const pause = (ms: number): Promise<null> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(null), ms);
  });

export function startProgram(args: readonly string[], options: ProgramOptions = {}): RunningProgram {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: npm run build`);
  const { env = {}, cwd = tmpdir(), timeoutMs = RUN_MS_MAX, uid } = options;
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: tmpdir(), AWS_EC2_METADATA_DISABLED: 'true', NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return new RunningProgram(child, timeoutMs);
}

export function runProgram(args: readonly string[], options: ProgramOptions = {}): Promise<ProgramResult> {
  return startProgram(args, options).ended();
}
