/** Which point a command line of `restore` asks for, and how what was found for it is told. */
import { UsageError } from '../core/errors.ts';
import { type Micros, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { PointCommit, PointRequest, ResolvedPoint } from '../restore/point-request.ts';
import { parseTimeFlag } from './parse-time.ts';
import { isoTime } from './units.ts';

export interface PointFlags {
  readonly tx?: string;
  readonly timestamp?: string;
  readonly beforeReducer?: string;
}

/** @throws UsageError where several points are asked for, or one cannot be read */
export function parsePoint(flags: PointFlags, { now }: { readonly now: Micros }): PointRequest | undefined {
  const { tx, timestamp, beforeReducer } = flags;
  const given = [
    ...(tx === undefined ? [] : ['-tx']),
    ...(timestamp === undefined ? [] : ['-timestamp']),
    ...(beforeReducer === undefined ? [] : ['-before-reducer']),
  ];
  if (given.length > 1) throw new UsageError(`${given.join(' and ')} ask for different points: give one of them`);
  if (tx !== undefined) return { kind: 'tx', tx: parseTx(tx) };
  if (timestamp !== undefined) return { kind: 'timestamp', time: parseTimeFlag('timestamp', timestamp, { now }) };
  if (beforeReducer === undefined) return undefined;
  if (beforeReducer === '') throw new UsageError('-before-reducer needs the name of a reducer');
  return { kind: 'before-reducer', reducer: beforeReducer };
}

function parseTx(text: string): TxOffset {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (value >= 0n && value <= U64_MAX) return txOffset(value);
  throw new UsageError(`-tx: ${JSON.stringify(text)} is no transaction offset`, {
    hint: 'Write a whole number: the first transaction of a database is 0.',
  });
}

export function describeRequest(request: PointRequest): string {
  switch (request.kind) {
    case 'tx':
      return `the state after transaction ${request.tx}`;
    case 'timestamp':
      return `the last commit not later than ${isoTime(request.time)}`;
    case 'before-reducer':
      return `the last commit before the newest call of ${JSON.stringify(request.reducer)}`;
  }
}

function describeCommit({ first, last, time, reducer }: PointCommit): string {
  const range = first === last ? `transaction ${last}` : `transactions ${first} to ${last}`;
  const when = time === null ? 'without a time' : `of ${isoTime(time)}`;
  return `${range} ${when}${reducer === null ? '' : `, ${JSON.stringify(reducer)}`}`;
}

/** Lines for people: what was asked for, the commit that the restore ends with, and the one after it. */
export function formatPointLines(point: ResolvedPoint | null): string[] {
  if (point === null) return [];
  const { request, commit, next } = point;
  const after = next === null ? 'nothing: the line ends there' : describeCommit(next);
  return [
    `  asked for    ${describeRequest(request)}`,
    ...(commit === null ? [] : [`  last commit  ${describeCommit(commit)}`, `  next commit  ${after}`]),
  ];
}

/** A member of the document of `-json`. */
export function pointDocument(point: ResolvedPoint | null): Record<string, unknown> | null {
  if (point === null) return null;
  const { request, commit, next } = point;
  const asked = {
    tx: request.kind === 'tx' ? request.tx.toString() : null,
    timestamp: request.kind === 'timestamp' ? isoTime(request.time) : null,
    beforeReducer: request.kind === 'before-reducer' ? request.reducer : null,
  };
  return { ...asked, commit: commit && commitDocument(commit), next: next && commitDocument(next) };
}

const commitDocument = ({ first, last, time, reducer }: PointCommit): Record<string, unknown> => ({
  first: first.toString(),
  last: last.toString(),
  time: time === null ? null : isoTime(time),
  reducer,
});
