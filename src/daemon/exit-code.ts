/** From what became of each database to the one code that the process ends with. */
import { EXIT, type ExitCode, ReplicateError } from '../core/errors.ts';

export const exitCodeOfError = (error: unknown): ExitCode =>
  error instanceof ReplicateError ? error.exitCode : EXIT.failure;

/** The common code when all are alike, else `partial`. */
export function combineExitCodes(codes: readonly ExitCode[]): ExitCode {
  const [first = EXIT.ok] = codes;
  return codes.every((code) => code === first) ? first : EXIT.partial;
}
