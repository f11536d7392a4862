/** What the end of an episode means for the next one: a pure rule over errors. */
import { LogDamagedError } from '../capture/log-damage.ts';
import { LocalFileError, primaryError, ReplicateError, SourceDivergedError, systemCode } from '../core/errors.ts';
import { UnavailableError } from '../replica/replica-client.ts';
import type { Carried } from './start-options.ts';

/**
 * `diverged`: the local log may be another one; all is looked at anew. `damaged`: it is bad or lacks something.
 * `passing`: this machine or the store failed; the same again later. `final`: nobody but an operator can help.
 */
export type EpisodeEnd = 'diverged' | 'damaged' | 'passing' | 'final';

export function judgeEnd(thrown: unknown): EpisodeEnd {
  const error = primaryError(thrown);
  if (error instanceof LogDamagedError) return 'damaged';
  if (error instanceof SourceDivergedError) return 'diverged';
  if (error instanceof LocalFileError || error instanceof UnavailableError) return 'passing';
  // A system call that nobody has put into words: EIO, EMFILE, ENOSPC.
  if (!(error instanceof ReplicateError) && systemCode(error) !== null) return 'passing';
  return 'final';
}

/** What the next episode must know. `known`: until a start succeeds, what the episode before has learnt still holds. */
export function carriedOn(
  error: unknown,
  { known, unreadable }: { readonly known: Carried; readonly unreadable: LocalFileError | null },
): Carried {
  const cause = primaryError(error);
  return {
    ...known,
    inDoubt: judgeEnd(error) === 'diverged' || known.inDoubt === true,
    damage: cause instanceof LogDamagedError ? cause.damage : (known.damage ?? null),
    unreadable: unreadable ?? known.unreadable ?? null,
    storedIdentity: storedIdentityIn(cause) ?? known.storedIdentity ?? null,
  };
}

/** Which database is stored, as an episode has found out that ended because another one is here. */
function storedIdentityIn(error: unknown): string | null {
  const identity = error instanceof SourceDivergedError ? error.facts['storedIdentity'] : null;
  return typeof identity === 'string' ? identity : null;
}
