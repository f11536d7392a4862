/** What the flags of `log` ask for. Pure. */
import { parseDuration } from '../config/units.ts';
import { UsageError } from '../core/errors.ts';
import { type Micros, micros, txOffset, U64_MAX } from '../core/types.ts';
import type { LogBound, LogQuery } from '../daemon/browse-log.ts';
import { parseCount } from './parse-flags.ts';
import { parseTimeFlag } from './parse-time.ts';

export interface LogQueryFlags {
  readonly from?: string;
  readonly to?: string;
  readonly since?: string;
  readonly reducer?: string;
  readonly n?: string;
}

/** Without `-from`, `-since` and `-n`. */
const COUNT = 20;
/** They are held in memory until the first is printed. */
const COUNT_MAX = 100_000;

/** @throws UsageError */
export function parseLogQuery(flags: LogQueryFlags, { now }: { readonly now: Micros }): LogQuery {
  const { from, to, since, reducer, n } = flags;
  if (from !== undefined && since !== undefined) throw new UsageError('-from and -since both say where to begin');
  const begin = from === undefined ? parseSince(since, now) : parseBound('from', from, now);
  const end = to === undefined ? null : parseBound('to', to, now);
  if (isReversed(begin, end)) {
    throw new UsageError(`-from ${from ?? since} is later than -to ${to}`, { hint: 'The earlier one comes first.' });
  }
  const standard = begin === null ? COUNT : null;
  const count = n === undefined ? standard : parseCount('n', n, { min: 1, max: COUNT_MAX });
  return { from: begin, to: end, reducer: reducer ?? null, count };
}

/** A whole number is a transaction, anything else a time. @throws UsageError */
function parseBound(flag: string, text: string, now: Micros): LogBound {
  if (!/^\d+$/.test(text)) return { kind: 'time', time: parseTimeFlag(flag, text, { now }) };
  const tx = BigInt(text);
  if (tx > U64_MAX) throw new UsageError(`-${flag}: ${text} is no transaction offset`);
  return { kind: 'tx', tx: txOffset(tx) };
}

function parseSince(text: string | undefined, now: Micros): LogBound | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms === null) {
    throw new UsageError(`-since: ${JSON.stringify(text)} is no duration`, {
      hint: 'Write 10m, 2h or 7d; -from takes a time.',
    });
  }
  const time = now - BigInt(Math.round(ms)) * 1000n;
  return { kind: 'time', time: micros(time < 0n ? 0n : time) };
}

function isReversed(from: LogBound | null, to: LogBound | null): boolean {
  if (from?.kind === 'tx' && to?.kind === 'tx') return from.tx > to.tx;
  return from?.kind === 'time' && to?.kind === 'time' && from.time > to.time;
}
