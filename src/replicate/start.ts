/**
 * How a writer starts: gathers the facts, asks the decision table, and takes the head. Nothing of the database is sent
 * here; a refused start leaves the store as it was.
 */
import { readLogStart } from '../capture/local-log.ts';
import type { LogDamagedError } from '../capture/log-damage.ts';
import { findStandingDamage } from '../capture/standing-damage.ts';
import type { SourceDivergedError } from '../core/errors.ts';
import type { GenerationReason } from '../layout/generation-document.ts';
import { type ObjectVersion, PreconditionFailedError } from '../replica/replica-client.ts';
import { waitForLease } from './lease-wait.ts';
import { findBase, localLogState, readLocalFacts } from './local-facts.ts';
import { conditionsBroken, ownerError } from './refusals.ts';
import { baseFrom, type Facts, lookAround } from './start-facts.ts';
import type { StartOptions } from './start-options.ts';
import { baseError, sayBegun } from './start-words.ts';
import { type Started, takeHead } from './take-head.ts';

export type StartOutcome =
  | { readonly kind: 'started'; readonly started: Started; readonly damage: LogDamagedError | null }
  /** The local log holds nothing: ask again later. */
  | { readonly kind: 'no-log' }
  /** Nothing that could be stored now could be restored: ask again later. */
  | {
      readonly kind: 'no-base';
      readonly error: SourceDivergedError | LogDamagedError;
      /** Whether that is still so, by local reads: another log than the one that was looked at is news. */
      readonly isMissing: () => Promise<boolean>;
    }
  /** A new generation would begin, and may not. */
  | { readonly kind: 'refused'; readonly reason: GenerationReason };

/**
 * @throws LeaseHeldError, ConfigurationError; store errors; LocalFileError, UnsupportedFormatError of the local log
 */
export async function start(
  given: StartOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<StartOutcome> {
  const { client, log } = given;
  let expired: ObjectVersion | null = null;
  /** The version of head.json, null for none, in whose place ours was refused. */
  let refused: ObjectVersion | null | undefined;
  for (;;) {
    const look = await lookAround(given, { expired, signal });
    if (look === null) return { kind: 'no-log' };
    const { facts, options } = look;
    const { decision, state } = facts;
    log.debug('start', { decision: decision.kind, head: state.head?.document.generation ?? null });
    switch (decision.kind) {
      case 'wait-for-log':
        return { kind: 'no-log' };
      case 'wait-for-base':
        return {
          kind: 'no-base',
          error: baseError(decision.because, facts, options),
          isMissing: () => isBaseMissing(decision.because, facts, { options, signal }),
        };
      case 'stop':
        throw ownerError(state, client);
      case 'wait-for-lease':
        if (state.head !== null) expired = await waitForLease(options, state.head, { signal });
        continue;
      case 'begin':
      case 'continue':
        break;
    }
    if (decision.kind === 'begin' && options.mayBegin?.(decision.reason) === false) {
      return { kind: 'refused', reason: decision.reason };
    }
    try {
      const started = await takeHead(decision, facts, { ...options, signal });
      if (started.isNew) sayBegun(started, facts, options);
      return { kind: 'started', started, damage: facts.damage };
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      const found = state.head?.version ?? null;
      if (found === refused) throw conditionsBroken(client, error);
      refused = found;
      log.warn('another writer took the head first; looking again', { generation: state.generation?.generation });
    }
  }
}

/** The part of a look that needs no store: whether nothing but waiting would come of a whole one. */
async function isBaseMissing(
  because: 'log-start' | 'damage',
  { local: before, damage, state }: Facts,
  { options, signal }: { options: StartOptions; signal: AbortSignal | undefined },
): Promise<boolean> {
  const logStart = await readLogStart(options.source);
  if (logStart !== before.logStart) return false;
  const local = await readLocalFacts(options, logStart);
  if (local.databaseIdentity !== before.databaseIdentity) return false;
  if (because === 'log-start') return localLogState(local) === 'above-zero-baseless';
  const standing = damage && (await findStandingDamage(options.source, damage.damage, { signal }));
  if (standing === null) return false;
  return (await findBase(options, local, { from: baseFrom(standing, state), signal })) === null;
}
