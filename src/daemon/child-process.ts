/** The server that `replicate -exec` runs: one child process with our own streams, and how it ended. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

export type ChildEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: NodeJS.Signals }
  /** It never ran. */
  | { readonly kind: 'not-started'; readonly error: Error };

export interface ChildOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A signal could not be passed on: the server runs as another user, perhaps. */
  readonly onKillFailure: (error: Error) => void;
}

export interface RunningChild {
  /** Null where it could not be started. */
  readonly pid: number | null;
  /** Does nothing once it has ended. */
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<ChildEnd>;
}

/**
 * Starts `program` in our working directory and process group, with our stdin, stdout and stderr. It is found by PATH, as
 * a shell finds it.
 */
export function startChild(
  [program, ...args]: readonly [string, ...string[]],
  { env, onKillFailure }: ChildOptions,
): RunningChild {
  const child = spawn(program, args, { env, stdio: 'inherit' });
  const { pid = null } = child;
  const ended = new Promise<ChildEnd>((resolve) => {
    child.on('error', (error) => {
      if (pid === null) resolve({ kind: 'not-started', error });
      else onKillFailure(error);
    });
    // Not `close`: what it left running may hold the streams open for ever.
    child.on('exit', (code, signal) => {
      resolve(signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signalled', signal });
    });
  });
  return { pid, ended, kill: (signal) => void child.kill(signal) };
}

/** As a shell gives it: 128 and the signal's number where a signal ended it; null where it never ran. */
export function exitStatusOf(end: ChildEnd): number | null {
  if (end.kind === 'not-started') return null;
  return end.kind === 'exited' ? end.code : 128 + constants.signals[end.signal];
}
