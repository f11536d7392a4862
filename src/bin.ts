#!/usr/bin/env node
/**
 * The program, and the only file that touches `process`. It refuses what cannot run before it imports anything, so its
 * own syntax is that of Node 12: no static import of a value, no top-level `await`, no `?.`, no `??`.
 *
 * Responsible for: arguments, streams, signals, the exit code, and the last word when something was missed.
 * Not responsible for: what any argument means.
 */
import type { Io } from './cli/io.ts';

/** The oldest Node that does not accept truncated zstd input without an error. */
const NODE_MIN = [24, 20];

/** How long a finished command may keep the process alive by a handle that somebody forgot to close. */
const LINGER_MS = 2000;

/** Null where the program can run, else the line that says why not. */
function whyNot(): string | null {
  const version = process.versions.node.split('.').map(Number);
  const major = version[0] as number;
  const minor = version[1] as number;
  if (major < (NODE_MIN[0] as number) || (major === NODE_MIN[0] && minor < (NODE_MIN[1] as number))) {
    return (
      `Node.js ${NODE_MIN.join('.')} or newer is needed, this is ${process.versions.node}: ` +
      'older ones accept truncated zstd data without an error. Install a newer Node.js and run this again.'
    );
  }
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    return (
      `Linux on x64 or arm64 is needed, this is ${process.platform} on ${process.arch}. ` +
      'Run it on such a machine, or in a Linux container.'
    );
  }
  return null;
}

/** Whether `-log-level debug` was asked for, in any of its spellings, or by the environment: only then are stacks shown. */
function wantsStacks(): boolean {
  const flags = process.argv.slice(2).join(' ');
  return process.env['STDB_REPLICATE_LOG_LEVEL'] === 'debug' || /(^|\s)--?log-level(=|\s)debug(\s|$)/.test(flags);
}

/** Replication goes without: threads that encode keep memory, and waiting for the disk is not what it does. */
const writesManyFiles = (): boolean => process.argv.slice(2).includes('restore');

function complain(line: string): void {
  process.stderr.write(`stdb-replicate: ${line}\n`);
}

/** An error that no command caught is our mistake: one line, exit code 1. */
function fail(what: string, error: unknown): never {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  complain(`${what}: ${text.split('\n').join(' ')}. This is a mistake in the program; -log-level debug shows where.`);
  if (wantsStacks() && error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}

/** A reader that went away (`| head`) is no failure of ours; anything else that breaks the output is. */
function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') fail('the output cannot be written', error);
}

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];

const io: Io = {
  argv: process.argv.slice(2),
  env: process.env,
  versions: process.versions,
  get stdin() {
    // Not process.stdin: that would make the descriptor non-blocking, also for a server that shares it.
    return { isTTY: process.getBuiltinModule('node:tty').isatty(0) };
  },
  stdout: process.stdout,
  stderr: process.stderr,
  signals: {
    onSignal(handler, names = SIGNALS) {
      // Node gives the signal's number as well, which a handler must not take for a word of ours.
      const listener = (signal: NodeJS.Signals): void => handler(signal);
      for (const name of names) process.on(name, listener);
      return () => {
        for (const name of names) process.removeListener(name, listener);
      };
    },
  },
  exit: (code) => process.exit(code),
};

/**
 * A user by number alone, as a service may have one, has no home unless HOME says so, and the SDKs of stores fail when they
 * look for their files there. The root is what container engines give such a user.
 */
function ensureHome(): void {
  try {
    process.getBuiltinModule('node:os').homedir();
  } catch {
    process.env['HOME'] = '/';
  }
}

const refusal = whyNot();
if (refusal === null) {
  ensureHome();
  process.on('uncaughtException', (error) => fail('an unexpected error', error));
  process.on('unhandledRejection', (reason) => fail('an unexpected error', reason));
  process.stdout.on('error', onOutputError);
  // Nobody is left to tell when the place for complaints is gone.
  process.stderr.on('error', () => undefined);
  import('./core/thread-pool-size.ts')
    .then(({ widenThreadPool }) => {
      if (writesManyFiles()) widenThreadPool(process.env);
      return import('./core/young-generation.ts');
    })
    .then(({ keepYoungGenerationSmall }) => {
      // Before all else is loaded: that alone makes it grow, and it never shrinks.
      keepYoungGenerationSmall();
      return import('./cli/main.ts');
    })
    .then(({ main }) => main(io))
    .then(
      (code) => {
        process.exitCode = code;
        setTimeout(() => process.exit(code), LINGER_MS).unref();
      },
      (error) => fail('an unexpected error', error),
    );
} else {
  complain(refusal);
  process.exitCode = 2;
}
