/** The log: one line an event, readable on a terminal, JSON elsewhere, written in process and in order. */
import { pino } from 'pino';
import { type PrettyOptions, prettyFactory } from 'pino-pretty';
import type { Log, LogFacts } from '../core/log.ts';
import { escapeControls } from '../core/printable-text.ts';
import { EventRing, type LogEvent } from './event-ring.ts';
import { printable, redactText } from './redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `auto` is pretty where `stream` is a terminal. */
  readonly format: 'auto' | 'pretty' | 'json';
  readonly stream: { write(text: string): unknown; readonly isTTY?: boolean | undefined };
  /** Whether a pretty log has colours; default: where `stream` is a terminal. */
  readonly color?: boolean;
  /** How many events `events()` keeps. */
  readonly eventsMax?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface Logger extends Log {
  /** The last events that were written, oldest first. */
  events(): readonly LogEvent[];
}

const EVENTS_MAX = 500;

const TOLD_LENGTH_MIN = 6;

/** The longest name of a level. */
const LEVEL_WIDTH = 5;

/** Fields that pino itself writes. Facts of these names get an underscore. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['time', 'level', 'msg']);

const isBare = (text: string): boolean => /^[^\s"]+$/.test(text);

const quote = (text: string): string => escapeControls(isBare(text) ? text : JSON.stringify(text));

/** Errors as their message, their hint and the message of what caused them; anything else as JSON, or bare text. */
function formatFact(name: string, value: unknown): string {
  if (typeof value !== 'object' || value === null || !('message' in value) || typeof value.message !== 'string') {
    return `${name}=${typeof value === 'string' ? quote(value) : JSON.stringify(value)}`;
  }
  const hint = 'hint' in value && typeof value.hint === 'string' ? `  hint=${quote(value.hint)}` : '';
  const cause = 'cause' in value && value.cause !== null ? `  ${formatFact('cause', value.cause)}` : '';
  return `${name}=${quote(value.message)}${hint}${cause}`;
}

/** The stacks of errors among the facts, and of what caused them; they are there at the level debug alone. */
function stacksIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'stack' in value && typeof value.stack === 'string' ? [value.stack] : [];
  return [...own, ...Object.values(value).flatMap(stacksIn)];
}

/** Text that a person has read in the message already: a path, a URL, a generation. Short ones may be there by chance. */
const isTold = (message: string, value: unknown): boolean =>
  typeof value === 'string' && value.length >= TOLD_LENGTH_MIN && message.includes(value);

function formatMessage(line: Record<string, unknown>): string {
  const facts = Object.entries(line).filter(([name]) => !OWN_FIELDS.has(name));
  const text = typeof line['msg'] === 'string' ? line['msg'] : '';
  const untold = facts.filter(([, value]) => !isTold(text, value));
  const head = [escapeControls(text), ...untold.map(([name, value]) => formatFact(name, value))].join('  ');
  return [head, ...facts.flatMap(([, value]) => stacksIn(value))].join('\n');
}

/** `12:03:04.123Z INFO:  streaming  database=/stdb/replicas/1  generation=00000001-8c0ffee0` */
function prettyFormatter(color: boolean): (line: string) => string {
  const options: PrettyOptions = {
    colorize: color,
    translateTime: "UTC:HH:MM:ss.l'Z'",
    customPrettifiers: {
      // The translated time, without brackets.
      time: (time) => (typeof time === 'string' ? time : ''),
    },
  };
  const format = prettyFactory(options);
  return (text) => {
    const line = JSON.parse(text) as Record<string, unknown>;
    // Facts go into the message: pino-pretty would spread them over lines, and read some names (`name`) as its own.
    const level = String(line['level']);
    const padding = ' '.repeat(Math.max(0, LEVEL_WIDTH - level.length));
    return String(format({ time: line['time'], level, msg: padding + formatMessage(line) }));
  };
}

function wrap(
  logger: pino.Logger,
  options: { ring: EventRing; now: () => number; bound: LogFacts; stacks: boolean },
): Log {
  const { ring, now, bound, stacks } = options;
  const write = (level: LogLevel, message: string, facts?: LogFacts): void => {
    if (!logger.isLevelEnabled(level)) return;
    const named = Object.entries({ ...bound, ...facts }).map(
      ([name, fact]) => [OWN_FIELDS.has(name) ? `${name}_` : name, fact] as const,
    );
    const all = printable(Object.fromEntries(named), { stacks }) as Record<string, unknown>;
    const text = redactText(message);
    ring.push({ time: new Date(now()).toISOString(), level, message: text, facts: all });
    logger[level](all, text);
  };
  return {
    debug: (message, facts) => write('debug', message, facts),
    info: (message, facts) => write('info', message, facts),
    warn: (message, facts) => write('warn', message, facts),
    error: (message, facts) => write('error', message, facts),
    child: (facts) => wrap(logger, { ...options, bound: { ...bound, ...facts } }),
  };
}

export function createLogger(options: LoggerOptions): Logger {
  const { level, format, stream, eventsMax = EVENTS_MAX, now = Date.now } = options;
  const terminal = stream.isTTY === true;
  const pretty = format === 'pretty' || (format === 'auto' && terminal);
  const toText = pretty ? prettyFormatter(options.color ?? terminal) : (line: string) => line;
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => void stream.write(toText(line)) },
  );
  const ring = new EventRing(eventsMax);
  const log = wrap(logger, { ring, now, bound: {}, stacks: level === 'debug' });
  return { ...log, events: () => ring.toArray() };
}
