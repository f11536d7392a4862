/** What a replicator has to tell an operator between its episodes. */
import { ConfigurationError, errorMessage, ReplicateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ReplicatorStatus } from './replicator-status.ts';

/** Why the database is looked at again, and when. */
export function sayAgain(log: Log, error: unknown, { ms }: { readonly ms: number }): void {
  const when = ms === 0 ? 'now' : `in ${Math.ceil(ms / 1000)} s`;
  log.warn(`${errorMessage(error)}; looking at the database again ${when}`, {
    ...(error instanceof ReplicateError ? { code: error.code, ...error.facts } : {}),
    ...(error instanceof ReplicateError && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}

/** Told to end, where it could not look to the end of the log: what is known to be stored is not all that is there. */
export function sayUnstored(log: Log, status: Pick<ReplicatorStatus, 'unstoredSince' | 'snapshot'>): void {
  // The log is stored to its end: what failed is a snapshot.
  if (status.unstoredSince === null) return;
  const { stored } = status.snapshot();
  const known = stored === null ? 'nothing of the log is known to be stored' : `stored up to transaction ${stored.tx}`;
  log.error(`the last look at the log failed: ${known}, what follows may not be`, {
    tx: stored?.tx ?? null,
    hint: 'The next start goes on from there.',
  });
}

export const noLogError = (database: string): ConfigurationError =>
  new ConfigurationError(`there is no commit log in ${database}`, {
    hint: 'Give the directory of one database: …/replicas/<id>, after the server has written to it.',
    facts: { database },
  });
