/** The command that a drill starts on what it restored: in a process group of its own, so that nothing of it stays. */
import { spawn } from 'node:child_process';
import type { Clock } from '../core/clock.ts';
import { errorMessage, type ErrorDetails, EXIT, isAbort, ReplicateError } from '../core/errors.ts';

export interface DrillExecOptions {
  /** Run by `sh -c`. */
  readonly command: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The restored directory is whole, and the command said that it is no good, or could not say. */
export class DrillCommandError extends ReplicateError {
  readonly code = 'DRILL_COMMAND';
  readonly exitCode = EXIT.failure;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { hint: 'What it wrote to stderr tells more; stdout of it goes there too.', ...details });
  }
}

const STDERR = 2;
/** After SIGTERM, until SIGKILL. */
const GRACE_MS = 2_000;

type End = { readonly status: number | null; readonly by: NodeJS.Signals | null } | { readonly failed: Error };

/** @throws DrillCommandError when it ends with another status than 0, or not in time; the signal's reason */
export async function runDrillCommand(options: DrillExecOptions): Promise<void> {
  const { command, env, timeoutMs, clock, signal } = options;
  signal.throwIfAborted();
  const child = spawn('/bin/sh', ['-c', command], { env, detached: true, stdio: ['ignore', STDERR, STDERR] });
  const { pid } = child;
  const ended = new Promise<End>((resolve) => {
    child.on('error', (failed) => resolve({ failed }));
    child.on('exit', (status, by) => resolve({ status, by }));
  });
  using timer = new DisposableTimer(clock, timeoutMs);
  const stopped = new Promise<'stopped'>((resolve) => {
    signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  const end = await Promise.race([ended, timer.expired, stopped]);
  // Also where it ended by itself: what it started in the background is not left running.
  if (pid !== undefined) await endGroup(pid, { ended, clock, isOver: typeof end === 'object' });
  signal.throwIfAborted();
  if (end === 'expired' || end === 'stopped') {
    throw new DrillCommandError(`the command did not end within ${timeoutMs / 1000} s: ${command}`);
  }
  if ('failed' in end) throw new DrillCommandError(`the command cannot be started: ${errorMessage(end.failed)}`);
  if (end.status === 0) return;
  const how = end.status === null ? `by ${end.by}` : `with status ${end.status}`;
  throw new DrillCommandError(`the command on the restored directory ended ${how}: ${command}`, {
    facts: { status: end.status },
  });
}

class DisposableTimer implements Disposable {
  readonly #stop = new AbortController();
  readonly expired: Promise<'expired'>;

  constructor(clock: Clock, ms: number) {
    this.expired = clock.sleep(ms, { signal: this.#stop.signal }).then(
      () => 'expired' as const,
      async (error: unknown) => {
        if (!isAbort(error)) throw error;
        // Nobody waits for it any more.
        return await new Promise<never>(() => undefined);
      },
    );
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}

async function endGroup(
  pid: number,
  { ended, clock, isOver }: { readonly ended: Promise<End>; readonly clock: Clock; readonly isOver: boolean },
): Promise<void> {
  await sendToGroup(pid, 'TERM');
  if (!isOver) await Promise.race([ended, clock.sleep(GRACE_MS)]);
  await sendToGroup(pid, 'KILL');
  await ended;
}

/** By the shell that ran it: a child of ours can be sent a signal, its children cannot. Nobody may be left in the group. */
function sendToGroup(pid: number, name: 'TERM' | 'KILL'): Promise<void> {
  return new Promise((resolve) => {
    const sender = spawn('/bin/sh', ['-c', `kill -s ${name} -- -${pid}`], { stdio: 'ignore' });
    sender.on('error', () => resolve());
    sender.on('exit', () => resolve());
  });
}
