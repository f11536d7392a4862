/** Servers of tests that are binaries: found, started, waited for, stopped; their last words are in the error. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const START_MS_MAX = 20_000;
const WORDS_MAX = 4000;

export interface ServerProcess {
  readonly pid: number;
  stop(): Promise<void>;
}

export async function findOnPath(name: string): Promise<string | null> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

export async function startProcess(
  [command = '', ...args]: readonly string[],
  { env, readyUrl }: { env: Readonly<Record<string, string>>; readyUrl: string },
): Promise<ServerProcess> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-WORDS_MAX)));
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await Promise.race([ended, delay(3000, undefined, { ref: false })]);
    child.kill('SIGKILL');
    await ended;
  };
  // A test runner that dies must not leave servers behind.
  process.once('exit', () => child.kill('SIGKILL'));
  if (child.pid === undefined) {
    const [error] = (await once(child, 'error')) as [Error];
    throw error;
  }
  if (!(await becomesReady(readyUrl, () => child.exitCode === null))) {
    await stop();
    throw new Error(`${command} did not answer at ${readyUrl}: ${words.trim()}`);
  }
  return { pid: child.pid, stop };
}

async function becomesReady(url: string, isAlive: () => boolean): Promise<boolean> {
  const until = performance.now() + START_MS_MAX;
  while (isAlive() && performance.now() < until) {
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(1000) });
      await answer.body?.cancel();
      if (answer.ok) return true;
    } catch {
      // Not yet.
    }
    await delay(30);
  }
  return false;
}
