/** What a start has to tell an operator: why it waits or ends, and why a generation begins, where, and what that means. */
import type { LogComparison } from '../capture/local-log.ts';
import { DAMAGE_HINT, LogDamagedError } from '../capture/log-damage.ts';
import { type LocalFileError, SourceDivergedError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { formatPosition } from '../core/types.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { StoredState } from './stored-state.ts';
import type { Started, TakeHeadFacts } from './take-head.ts';

interface Names {
  readonly client: ReplicaClient;
  /** The replica directory. */
  readonly database: string;
}

interface Findings extends Pick<TakeHeadFacts, 'state' | 'local'> {
  readonly comparison: LogComparison | null;
  readonly damage: LogDamagedError | null;
}

/** For a log that is of no use without a snapshot that is not there. */
export function baseError(
  because: 'log-start' | 'damage',
  { damage, local: { logStart, unlisted }, state, comparison }: Findings,
  { client, database }: Names,
): SourceDivergedError | LogDamagedError {
  if (because === 'damage' && damage !== null) return damage;
  const facts = { database, url: client.url, generation: state.generation?.generation ?? null, tx: logStart };
  const parted =
    comparison !== null && 'detail' in comparison ? `; it does not join what is stored: ${comparison.detail}` : '';
  if (unlisted !== null) {
    return new SourceDivergedError(
      `the log of ${database} starts at transaction ${logStart}, and whether a snapshot stands there is not known: ${unlisted.message}${parted}`,
      { hint: unlisted.hint ?? 'Check the disk. Nothing is backed up until it can be read.', cause: unlisted, facts },
    );
  }
  return new SourceDivergedError(
    `the log of ${database} starts at transaction ${logStart}, and no complete snapshot stands at or after ${logStart - 1n}${parted}`,
    {
      hint: 'Without one no restore is possible, and nothing is backed up until the server takes one: it does so soon after a segment is full.',
      facts,
    },
  );
}

/** The stored position is where the local file is bad. */
export function damageAtStart(
  { damage, detail }: Extract<LogComparison, { agreement: 'damaged' }>,
  { database }: Names,
): LogDamagedError {
  const { segment, at, nextTx } = damage;
  return new LogDamagedError(`the log of ${database} is damaged: ${detail}`, {
    hint: DAMAGE_HINT,
    facts: { database, segment, byte: at, tx: nextTx },
    damage,
  });
}

/** What stands behind is good; what is bad there is that the disk does not give it back. */
export const unreadableDamage = (cause: LocalFileError, { message, damage, facts }: LogDamagedError): LogDamagedError =>
  new LogDamagedError(`${cause.message}, and that has lasted; ${message}`, {
    cause,
    hint: cause.hint ?? DAMAGE_HINT,
    facts: { ...facts, ...cause.facts },
    damage,
  });

/** One line for each new generation: a warning for all but the first. */
export function sayBegun(
  { generation: { generation, reason, parent, databaseIdentity }, tail }: Started,
  { state, comparison, damage }: Findings,
  { client, database, log }: Names & { readonly log: Log },
): void {
  const facts = {
    database,
    url: client.url,
    generation,
    reason,
    parent: parent && `${parent.generation} at ${formatPosition(parent.position)}`,
    from: tail.nextTx,
  };
  const before = state.generation?.generation ?? 'none';
  const stored = state.position === null ? 'nothing' : `transactions up to ${state.position.tx}`;
  const keeps = `Generation ${before} holds ${stored} and keeps them: restore them with -generation ${before}.`;
  const detail =
    comparison !== null && 'detail' in comparison ? comparison.detail : 'nothing of it joins what is stored';
  const begins = parent === null ? `from transaction ${tail.nextTx} on` : `after transaction ${parent.position.tx}`;
  switch (reason) {
    case 'first':
      log.info(`generation ${generation} begins: the destination was empty`, facts);
      return;
    case 'takeover':
      log.warn(`generation ${generation} begins ${begins}: ${whoLeft(state)}; nothing of the log is lost`, facts);
      return;
    case 'rolled-back':
      log.warn(
        `generation ${generation} begins ${begins}: the log of ${database} is no longer the stored one: ${detail}`,
        {
          ...facts,
          hint: `The database was reset or restored, or lost its newest commits. ${keeps}`,
        },
      );
      return;
    case 'gap':
      log.warn(
        `generation ${generation} begins ${begins}: commits of ${database} are gone that were never stored: ${detail}`,
        {
          ...facts,
          hint: `No point in between can be restored. ${keeps}`,
        },
      );
      return;
    case 'damaged':
      log.warn(`generation ${generation} begins ${begins}, at a snapshot behind damage: ${damage?.message ?? detail}`, {
        ...facts,
        ...damage?.facts,
        hint: `No point in between can be restored. Check the disk. ${keeps}`,
      });
      return;
    case 'replaced':
      log.warn(`generation ${generation} begins ${begins}: ${database} is another database now, ${databaseIdentity}`, {
        ...facts,
        before: state.generation?.databaseIdentity ?? null,
        hint: `It was deleted and made anew, or the directory was given to it. ${keeps}`,
      });
  }
}

function whoLeft({ head }: StoredState): string {
  if (head === null) return 'head.json was missing';
  const { process, owner, released } = head.document;
  const who = `process ${process.pid} on ${process.host} (owner ${owner})`;
  return released
    ? `the backup was handed over by ${who}`
    : `the backup was not handed over by ${who}, which writes no more`;
}
