/**
 * The composition of `replicate -exec`: replication beside a server that this process runs as its child.
 *
 * Responsible for: who starts when, whom signals are for, and the exit status (docs/decisions/0006-exec.md).
 * Not responsible for: replication, and the restore that may come before.
 */
import { ConfigurationError, EXIT, errorMessage, InterruptedError, systemCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type ChildEnd, exitStatusOf, startChild } from './child-process.ts';
import { exitCodeOfError } from './exit-code.ts';
import type { ExecSignals } from './exec-signals.ts';
import { type ReplicateOptions, runReplicate, type ServerBeside } from './replicate-command.ts';

export interface ExecOptions {
  readonly command: readonly [program: string, ...args: string[]];
  /** Of the server. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signals: ExecSignals;
  readonly log: Log;
  readonly replicate: Omit<ReplicateOptions, 'signals' | 'log' | 'once' | 'server'>;
}

/**
 * Ends when the server has ended and its last words are stored, or cannot be. Gives the server's status where that is
 * not 0, else what became of the replication: 0 means that both went well.
 *
 * @throws ConfigurationError, before the server was started or because it cannot be; InterruptedError before it was
 */
export async function runExec({ command, env, signals, log, replicate }: ExecOptions): Promise<number> {
  const server = new ServerRun({ command, env, signals, log, shutdownTimeoutMs: replicate.config.shutdownTimeoutMs });
  let stored: number;
  try {
    stored = await runReplicate({ ...replicate, once: false, signals, log, server });
  } catch (error) {
    // Before the server was started this is a mistake to be told; after that it must not take the server along.
    if (!server.wasStarted) throw error;
    log.error(`replication failed: ${errorMessage(error)}`, { error });
    stored = exitCodeOfError(error);
    await server.outlive();
  }
  return endingOf(await server.ended(), { command, stored, signals, log });
}

interface EndingFacts {
  readonly command: readonly [string, ...string[]];
  /** Exit code of the replication. */
  readonly stored: number;
  readonly signals: ExecSignals;
  readonly log: Log;
}

function endingOf(end: ChildEnd | null, { command: [program], stored, signals, log }: EndingFacts): number {
  if (end === null) {
    const signal = signals.asked === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
    throw new InterruptedError(`stopped by ${signal} before ${program} was started`, { signal });
  }
  if (end.kind === 'not-started') {
    throw new ConfigurationError(`${program} cannot be started: ${errorMessage(end.error)}`, {
      cause: end.error,
      hint:
        systemCode(end.error) === 'ENOENT'
          ? 'Check the command of -exec: no such program is on PATH, or its interpreter is missing.'
          : 'Check the command of -exec, and that this user may execute it.',
      facts: { program },
    });
  }
  if (stored === EXIT.ok) log.info('all that the server wrote is stored');
  else
    log.error('NOT ALL that the server wrote is stored: what is on this disk is ahead of the backup', { code: stored });
  return exitStatusOf(end) || stored;
}

interface ServerRunOptions extends Omit<ExecOptions, 'replicate'> {
  /** How long the last sync after its end may take. */
  readonly shutdownTimeoutMs: number;
}

class ServerRun implements ServerBeside {
  readonly #options: ServerRunOptions;
  #ended: Promise<ChildEnd> | null = null;

  constructor(options: ServerRunOptions) {
    this.#options = options;
  }

  get wasStarted(): boolean {
    return this.#ended !== null;
  }

  /** Null where it was never to be started. */
  async ended(): Promise<ChildEnd | null> {
    return this.#ended;
  }

  start(): void {
    const { command, env, signals, log } = this.#options;
    if (signals.asked !== null) return;
    const child = startChild(command, {
      env,
      onKillFailure: (error) => log.error(`the signal did not reach the server: ${error.message}`, { error }),
    });
    signals.passTo((signal) => child.kill(signal));
    if (child.pid !== null) log.info('server started', { program: command[0], pid: child.pid });
    this.#ended = child.ended.then((end) => {
      signals.serverEnded(this.#tellEnd(end));
      return end;
    });
  }

  async outlive(): Promise<void> {
    const { signals, log } = this.#options;
    if (this.#ended === null || signals.asked !== null) return;
    log.error('replication has ended; THE SERVER RUNS ON WITHOUT BACKUP', {
      hint: 'See above why it ended. Restart this program, and the server with it, once that is mended.',
    });
    await this.#ended;
  }

  /** @returns what asks for the end of our own work */
  #tellEnd(end: ChildEnd): string {
    const { log, shutdownTimeoutMs } = this.#options;
    const how = howEnded(end);
    const facts = { status: exitStatusOf(end), timeoutSeconds: shutdownTimeoutMs / 1000 };
    if (end.kind === 'exited' && end.code === 0) log.info(`${how}: storing what is left`, facts);
    else log.warn(`${how}: storing what is left`, facts);
    return how;
  }
}

function howEnded(end: ChildEnd): string {
  switch (end.kind) {
    case 'not-started':
      return 'the server could not be started';
    case 'signalled':
      return `the server has ended by ${end.signal}`;
    case 'exited':
      return end.code === 0 ? 'the server has ended' : `the server has ended with status ${end.code}`;
  }
}
