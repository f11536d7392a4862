/** Errors of the readers in this room name the path that was read, whoever found them. */
import {
  CorruptionError,
  type ErrorDetails,
  localFileError,
  ReplicateError,
  systemCode,
  UnsupportedFormatError,
} from '../core/errors.ts';

/**
 * Runs `work`, which reads `path`. Failed system calls become LocalFileErrors; what a decoder finds wrong, which knows
 * bytes and no path, gets the path; everything else passes as it is.
 */
export async function readingFrom<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ReplicateError) throw withPath(error, path);
    if (systemCode(error) === null) throw error;
    throw localFileError('read', path, error);
  }
}

function withPath(error: ReplicateError, path: string): ReplicateError {
  if ('path' in error.facts) return error;
  const { hint, facts, message } = error;
  const details: ErrorDetails = { cause: error, facts: { ...facts, path }, ...(hint === undefined ? {} : { hint }) };
  if (error instanceof CorruptionError) return new CorruptionError(`${path}: ${message}`, details);
  if (error instanceof UnsupportedFormatError) return new UnsupportedFormatError(`${path}: ${message}`, details);
  return error;
}
