/** Which failures are those of one snapshot: it is passed over then, and what is not of it goes on. */
import { CorruptionError, LocalFileError, type ReplicateError, UnsupportedFormatError } from '../core/errors.ts';

/** What everything on this machine suffers from, and what an operator has to mend. */
const SHARED_CAUSES: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'ENOMEM']);

export function isOfOneSnapshot(error: unknown): error is ReplicateError {
  if (error instanceof LocalFileError) return !SHARED_CAUSES.has(error.facts['systemCode']);
  return error instanceof CorruptionError || error instanceof UnsupportedFormatError;
}
