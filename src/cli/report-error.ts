/** The last word of a failed command: what happened, and on the next line what to do. */
import { errorMessage, ReplicateError, systemCode } from '../core/errors.ts';
import { escapeControls } from '../core/printable-text.ts';
import { exitCodeOfError } from '../daemon/exit-code.ts';
import { type Io, writeText } from './io.ts';

export interface ReportOptions {
  /** Whether the stack follows. */
  readonly stacks: boolean;
}

/** Lines of a message are ours; within a line nothing may steer the terminal. */
const printable = (text: string): string => text.split('\n').map(escapeControls).join('\n');

function linesOf(error: unknown): string[] {
  if (error instanceof ReplicateError) {
    return [`error: ${error.message}`, ...(error.hint === undefined ? [] : [`hint: ${error.hint}`])];
  }
  const code = systemCode(error);
  // A failed system call says what it was and on which path: that is the machine, not a mistake of ours.
  if (code !== null && error instanceof Error && 'syscall' in error) return [`error: ${error.message}`];
  return [
    `error: unexpected: ${errorMessage(error)}`,
    'hint: This is a bug in stdb-replicate. Run it again with -log-level debug to see where, and report it.',
  ];
}

function* causesOf(error: unknown): Generator<unknown> {
  for (let cause = error, depth = 0; cause !== undefined && depth < 8; depth += 1) {
    yield cause;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
}

/** @returns the exit code of the error's kind */
export async function reportError(io: Io, error: unknown, { stacks }: ReportOptions): Promise<number> {
  const lines = linesOf(error);
  if (stacks) {
    for (const cause of causesOf(error))
      lines.push(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
  }
  await writeText(io.stderr, `${printable(lines.join('\n'))}\n`);
  return exitCodeOfError(error);
}
