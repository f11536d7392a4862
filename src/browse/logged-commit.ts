/** One commit for people, and which of them are asked for. Pure. */
import type { Crc32c, Micros, TxOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import type { CommitFacts } from '../spacetimedb/commit-scanner.ts';
import { decodeRecordPrefix } from '../spacetimedb/record-prefix.ts';

export interface LoggedCommit {
  /** Whose object holds it. */
  readonly generation: GenerationName;
  /** False: the log no longer has it, and only the snapshot that was taken at it keeps it. */
  readonly inLog: boolean;
  readonly first: TxOffset;
  /** The recovery point. */
  readonly last: TxOffset;
  readonly crc: Crc32c;
  /** Of the whole commit in a segment, plain. */
  readonly bytes: number;
  /** Its own, of its first record; null where that has none, or one outside of the years 1970 to 9999. */
  readonly time: Micros | null;
  /** As the record has it, unchecked; null where the first transaction was not made by a reducer call. */
  readonly reducer: string | null;
  /** 64 hex digits, as SpacetimeDB prints it; null as `reducer`. */
  readonly callerIdentity: string | null;
  /** 32 hex digits; null also where there was no connection. */
  readonly callerConnectionId: string | null;
}

export type LogBound =
  | { readonly kind: 'tx'; readonly tx: TxOffset }
  /** By the line's time, which never falls: that of a restore to a time. */
  | { readonly kind: 'time'; readonly time: Micros };

export interface LogQuery {
  /** The first that is wanted; null: from the first one on. */
  readonly from: LogBound | null;
  /** The last that is wanted; null: to the end. */
  readonly to: LogBound | null;
  /** Exactly this name; null: whichever there is. */
  readonly reducer: string | null;
  /** Of what fits, the newest so many; null: all. */
  readonly count: number | null;
}

const NO_CONNECTION = '0'.repeat(32);

export function loggedCommit(facts: CommitFacts, generation: GenerationName): LoggedCommit {
  const { tx, lastTx, crc, start, end, time, recordPrefix } = facts;
  const prefix = decodeRecordPrefix(recordPrefix);
  const connection = prefix?.callerConnectionId ?? NO_CONNECTION;
  return {
    generation,
    inLog: true,
    first: tx,
    last: lastTx,
    crc,
    bytes: end - start,
    time,
    reducer: prefix?.reducer ?? null,
    callerIdentity: prefix?.callerIdentity ?? null,
    callerConnectionId: connection === NO_CONNECTION ? null : connection,
  };
}

/** Whether it is among those asked for; of `time` bounds nothing is said here. */
export const isWanted = ({ first, last, reducer }: LoggedCommit, { from, to, ...query }: LogQuery): boolean =>
  (from?.kind !== 'tx' || last >= from.tx) &&
  (to?.kind !== 'tx' || first <= to.tx) &&
  (query.reducer === null || query.reducer === reducer);

/** -1: before what is asked for, 1: behind it. @param time the line's, at the commit */
export function sideOf(time: Micros, { from, to }: Pick<LogQuery, 'from' | 'to'>): -1 | 0 | 1 {
  if (from?.kind === 'time' && time < from.time) return -1;
  return to?.kind === 'time' && time > to.time ? 1 : 0;
}
