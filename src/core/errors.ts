/**
 * One taxonomy of failures. Every error that can reach an operator is a `ReplicateError`: a stable `code`, the exit
 * code that its cause has in the command line's contract, typed facts, the `cause`, and a `hint` that says what to do.
 * Messages say what happened, to which thing, and why; they never carry secrets.
 */

/** Exit codes of the command line. 0, 130 and 143 are no failures of this taxonomy. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  partial: 3,
  noBackup: 10,
  leaseHeld: 11,
  key: 12,
  fenced: 13,
  corruption: 14,
  unrecoverablePoint: 15,
  targetInUse: 16,
  storeUnreachable: 75,
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface ErrorDetails {
  /** What the operator can do now: one or two plain sentences. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** What the message names, for JSON output and logs: database, object, offset, path. */
  readonly facts?: Readonly<Record<string, string | number | bigint | boolean | null>>;
}

export abstract class ReplicateError extends Error {
  abstract readonly code: string;
  abstract readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  readonly facts: NonNullable<ErrorDetails['facts']>;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.hint = details.hint;
    this.facts = details.facts ?? {};
  }

  override get name(): string {
    return this.constructor.name;
  }

  /** Whether the same call may succeed later without anybody changing anything. */
  shouldRetry(): boolean {
    return false;
  }
}

/** The command line is wrong. */
export class UsageError extends ReplicateError {
  readonly code = 'USAGE';
  readonly exitCode = EXIT.usage;
}

/** The configuration, or what it names (a bucket, a root directory, a database's path), is wrong. */
export class ConfigurationError extends ReplicateError {
  readonly code = 'CONFIGURATION';
  readonly exitCode = EXIT.usage;
}

/** Nothing was ever stored at that place, as proven by the store. */
export class NoBackupError extends ReplicateError {
  readonly code = 'NO_BACKUP';
  readonly exitCode = EXIT.noBackup;
}

/** The backup's lease belongs to another owner, or to a process that may still be alive. */
export class LeaseHeldError extends ReplicateError {
  readonly code = 'LEASE_HELD';
  readonly exitCode = EXIT.leaseHeld;
}

/** Another writer has taken the lease from us. */
export class FencedError extends ReplicateError {
  readonly code = 'FENCED';
  readonly exitCode = EXIT.fenced;
}

/** Bytes in the store, or in the source, are not what their checksums say; or a hole in what should be unbroken. */
export class CorruptionError extends ReplicateError {
  readonly code = 'CORRUPTION';
  readonly exitCode = EXIT.corruption;
}

/** The asked point cannot be recovered. */
export class UnrecoverablePointError extends ReplicateError {
  readonly code = 'UNRECOVERABLE_POINT';
  readonly exitCode = EXIT.unrecoverablePoint;
}

/** A restore's target holds something, or a server has it open. */
export class TargetInUseError extends ReplicateError {
  readonly code = 'TARGET_IN_USE';
  readonly exitCode = EXIT.targetInUse;
}

/** The local log is no longer the continuation of what is stored. */
export class SourceDivergedError extends ReplicateError {
  readonly code = 'SOURCE_DIVERGED';
  readonly exitCode = EXIT.failure;
}

/** A local file could not be read or written: permission, disk full, an I/O error. */
export class LocalFileError extends ReplicateError {
  readonly code = 'LOCAL_FILE';
  readonly exitCode = EXIT.failure;
}

/** A file of SpacetimeDB is of a version that this program does not know. */
export class UnsupportedFormatError extends ReplicateError {
  readonly code = 'UNSUPPORTED_FORMAT';
  readonly exitCode = EXIT.failure;
}

/** Stopped by a signal before the work was safe. */
export class InterruptedError extends ReplicateError {
  readonly code = 'INTERRUPTED';
  readonly exitCode: ExitCode;

  constructor(message: string, details: ErrorDetails & { signal: 'SIGINT' | 'SIGTERM' }) {
    super(message, details);
    this.exitCode = details.signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
  }
}

/** A condition of our own code that does not hold: a bug. Never used for data that comes from outside. */
export class AssertionError extends ReplicateError {
  readonly code = 'BUG';
  readonly exitCode = EXIT.failure;
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message, { hint: 'This is a bug in stdb-replicate: please report it.' });
}

/** Whether `error` says that the call was ended by its AbortSignal. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** What ended the work, also where clearing up behind it (`await using`) failed as well. */
export function primaryError(error: unknown): unknown {
  let primary = error;
  while (primary instanceof SuppressedError) primary = primary.suppressed;
  return primary;
}

export const errorMessage = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The `code` of a system error (ENOENT, ENOSPC, …) or null. */
export function systemCode(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' ? code : null;
}

/** What is wrong with an object, with the object's key named once. */
export const aboutObject = (key: string, { message }: Error): string =>
  message.includes(key) ? message : `${key}: ${message}`;

/** A LocalFileError for a failed system call, with a hint for the causes that an operator can mend. */
export function localFileError(action: string, path: string, cause: unknown): LocalFileError {
  const code = systemCode(cause);
  const hint =
    code === 'EACCES' || code === 'EPERM'
      ? 'Give the user that runs stdb-replicate permission for this path, or run it as the user that owns it.'
      : code === 'ENOSPC' || code === 'EDQUOT'
        ? 'Free space on this disk, or choose another place.'
        : code === 'EMFILE' || code === 'ENFILE'
          ? 'Raise the limit of open files.'
          : code === 'EROFS'
            ? 'The file system is read-only: choose another place, or mount it writable.'
            : code === 'ENOTDIR'
              ? 'A part of this path is a file, not a directory: check its spelling.'
              : undefined;
  return new LocalFileError(`cannot ${action} ${path}: ${errorMessage(cause)}`, {
    cause,
    facts: { path, ...(code === null ? {} : { systemCode: code }) },
    ...(hint === undefined ? {} : { hint }),
  });
}
