/** Why a start was refused, in words for the operator. Nothing has been changed when one of these is thrown. */
import { ConfigurationError, SourceDivergedError } from '../core/errors.ts';
import type { TxOffset } from '../core/types.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { leaseHeld } from './lease-wait.ts';
import type { StartDecision } from './start-decision.ts';
import type { StoredState } from './stored-state.ts';

export interface RefusalFacts {
  readonly client: ReplicaClient;
  /** The replica directory. */
  readonly database: string;
  readonly state: StoredState;
  readonly logStart: TxOffset;
  readonly databaseIdentity: string | null;
  /** How the local log differs. */
  readonly detail: string;
}

export function refusal(because: Extract<StartDecision, { kind: 'stop' }>['because'], facts: RefusalFacts): Error {
  const { client, database, state, logStart, databaseIdentity, detail } = facts;
  const common = { database, url: client.url, generation: state.generation?.generation ?? null };
  const elsewhere = 'Nothing was changed. To back this database up as it is now, replicate it to an empty prefix.';
  switch (because) {
    case 'other-owner':
      return state.head !== null ? leaseHeld(client, state.head) : headlessOwner(state, common);
    case 'replaced':
      return new SourceDivergedError(
        `${database} is database ${databaseIdentity}, but ${client.url} holds database ${state.generation?.databaseIdentity}`,
        { hint: elsewhere, facts: common },
      );
    case 'gap':
      return new SourceDivergedError(
        `the log of ${database} does not join what is stored in ${client.url}: ${detail}`,
        { hint: elsewhere, facts: common },
      );
    case 'rolled-back':
      return new SourceDivergedError(`the log of ${database} is no longer the one stored in ${client.url}: ${detail}`, {
        hint: `The database was reset, restored or lost its newest commits. What is stored is kept and can be restored. ${elsewhere}`,
        facts: common,
      });
    case 'no-base':
      return new SourceDivergedError(
        `the log of ${database} starts at transaction ${logStart}, and no complete snapshot stands at or after ${logStart - 1n}`,
        {
          hint: 'Without one no restore is possible. Wait for the server to take a snapshot, then start again.',
          facts: common,
        },
      );
  }
}

function headlessOwner(state: StoredState, facts: Record<string, string | null>): Error {
  const owner = state.generation?.writer.owner ?? 'unknown';
  return new ConfigurationError(`the backup belongs to owner ${owner}, and its head.json is missing`, {
    hint: `Set "owner: ${owner}" if this machine is to continue it, or replicate to another prefix.`,
    facts,
  });
}
