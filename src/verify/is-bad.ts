/** What a check of a backup meets and tells of, instead of ending with it. */
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';

/** An object that is not as it was written, or of a format that this release does not know. */
export const isBad = (error: unknown): error is CorruptionError | UnsupportedFormatError =>
  error instanceof CorruptionError || error instanceof UnsupportedFormatError;
