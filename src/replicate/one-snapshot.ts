/** Which failures are those of one snapshot: it is passed over then, and what is not of it goes on. */
import { CorruptionError, LocalFileError, type ReplicateError, UnsupportedFormatError } from '../core/errors.ts';

/** What everything on this machine suffers from: it passes, or keeps the log from being read as well. */
const SHARED_CAUSES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Whether it tells of files to be read here. One that may be tried again is a store's: a disk without room. */
export const isOfSource = (error: unknown): error is LocalFileError =>
  error instanceof LocalFileError && !error.shouldRetry();

/** Whether it tells only of the files in question: a bad sector, a permission that is missing, a mount that is stale. */
export const isOfTheseFiles = (error: unknown): error is LocalFileError =>
  isOfSource(error) && !SHARED_CAUSES.has(error.facts['systemCode']);

export const isOfOneSnapshot = (error: unknown): error is ReplicateError =>
  isOfTheseFiles(error) || error instanceof CorruptionError || error instanceof UnsupportedFormatError;
