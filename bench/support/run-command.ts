/** One command from start to end, with what it cost. Only one at a time, or their CPU times mix. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { endedChildrenCpuSeconds, peakRss } from './linux-process.ts';

const WATCH_MS = 20;
const WORDS_MAX = 64_000;

export interface CommandCost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Peak resident memory in bytes, as last seen. */
  readonly peakRss: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Whether the output is only thrown away. */
  readonly discard?: boolean;
  /** Whether all of the output is kept, rather than its last words. */
  readonly keepAll?: boolean;
}

/** @throws Error with the command's last words when it fails */
export async function runCommand(
  [command = '', ...args]: readonly string[],
  { env = {}, cwd, discard = false, keepAll = false }: RunOptions = {},
): Promise<CommandCost> {
  const cpuBefore = endedChildrenCpuSeconds();
  const start = performance.now();
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    cwd,
    stdio: ['ignore', discard ? 'ignore' : 'pipe', 'pipe'],
  });
  const words = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]
      ?.setEncoding('utf8')
      .on(
        'data',
        (text: string) => (words[name] = keepAll ? words[name] + text : (words[name] + text).slice(-WORDS_MAX)),
      );
  }
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, (child.pid === undefined ? null : peakRss(child.pid)) ?? 0);
  }, WATCH_MS);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    const seconds = (performance.now() - start) / 1000;
    if (code !== 0) {
      throw new Error(`${[command, ...args].join(' ')} ended with ${signal ?? code}: ${words.stderr.slice(-2000)}`);
    }
    return { seconds, cpuSeconds: endedChildrenCpuSeconds() - cpuBefore, peakRss: peak, ...words };
  } finally {
    clearInterval(watch);
  }
}
