/** Commits as people and programs read them, in a stream: the widths of columns grow as they must. */
import type { LoggedCommit } from '../daemon/browse-log.ts';
import { escapeControls } from '../core/printable-text.ts';
import { cutName } from './table.ts';
import { humanBytes, isoTime } from './units.ts';

const TIME_WIDTH = 26;
const SIZE_WIDTH = 8;
const REDUCER_LEAST = 10;
const CALLER_DIGITS = 16;
const NO_REDUCER = '-';
/** Before the reducer's name, so that a narrow terminal does not cut it off. */
const ONLY_IN_SNAPSHOT = '[snapshot] ';

/** `120`, or `121-125` for a commit of several transactions. */
export const offsetText = ({ first, last }: Pick<LoggedCommit, 'first' | 'last'>): string =>
  first === last ? `${last}` : `${first}-${last}`;

const timeText = ({ time }: LoggedCommit): string =>
  time === null ? '-' : isoTime(time).slice(0, 26).replace('T', ' ');

export class LogText {
  readonly #width: number | null;
  #offsetWidth = 11;
  #isBegun = false;

  /** @param width characters of a line; null: as many as it takes */
  constructor(width: number | null) {
    this.#width = width;
  }

  /** Whole lines, the first time with the title's. */
  format(commits: readonly LoggedCommit[]): string {
    for (const commit of commits) this.#offsetWidth = Math.max(this.#offsetWidth, offsetText(commit).length);
    const lines = commits.map((commit) =>
      this.#line([
        offsetText(commit),
        timeText(commit),
        humanBytes(commit.bytes),
        `${commit.inLog ? '' : ONLY_IN_SNAPSHOT}${escapeControls(commit.reducer ?? NO_REDUCER)}`,
        commit.callerIdentity?.slice(0, CALLER_DIGITS) ?? '-',
      ]),
    );
    if (!this.#isBegun) lines.unshift(this.#line(['TRANSACTION', 'TIME (UTC)', 'SIZE', 'REDUCER', 'CALLER']));
    this.#isBegun = true;
    return lines.map((line) => `${line}\n`).join('');
  }

  #line([offset, time, size, reducer, caller]: readonly [string, string, string, string, string]): string {
    const start = `${offset.padStart(this.#offsetWidth)}  ${time.padEnd(TIME_WIDTH)}  ${size.padStart(SIZE_WIDTH)}`;
    if (this.#width === null) return `${start}  ${caller.padEnd(CALLER_DIGITS)}  ${reducer}`;
    const room = this.#width - start.length - 2;
    // The caller is the first to go: a name says more.
    const withCaller = room - CALLER_DIGITS - 2;
    if (withCaller >= REDUCER_LEAST * 2)
      return `${start}  ${caller.padEnd(CALLER_DIGITS)}  ${cutName(reducer, withCaller)}`;
    return `${start}  ${cutName(reducer, Math.max(REDUCER_LEAST, room))}`;
  }
}

/** One line of NDJSON. */
export function logLine({ first, last, crc, bytes, time, reducer, ...rest }: LoggedCommit): string {
  return `${JSON.stringify({
    first: first.toString(),
    last: last.toString(),
    time: time === null ? null : isoTime(time),
    reducer,
    callerIdentity: rest.callerIdentity,
    callerConnectionId: rest.callerConnectionId,
    bytes,
    crc: crc.toString(16).padStart(8, '0'),
    generation: rest.generation,
    inLog: rest.inLog,
  })}\n`;
}
