/** Invariant: a line of the log is one line, plain, in order, below no level that was asked for, and holds no secret. */
import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../core/errors.ts';
import { createLogger, type LoggerOptions } from './logger.ts';
import { REDACTED, redactText } from './redact.ts';

const AT = Date.UTC(2026, 10, 21, 7, 40, 10, 123);

function open(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text), ...(options.stream?.isTTY ? { isTTY: true } : {}) };
  const log = createLogger({ level: 'info', format: 'json', now: () => AT, ...options, stream });
  return { log, lines, json: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('JSON: time, level, facts of the child and of the line, message', () => {
  const { log, lines } = open();
  log.child({ database: '/stdb/replicas/1' }).info('streaming', { tx: 18446744073709551615n });
  expect(lines).toEqual([
    '{"level":"info","time":"2026-11-21T07:40:10.123Z","database":"/stdb/replicas/1","tx":"18446744073709551615","msg":"streaming"}\n',
  ]);
});

test('pretty: one line, facts as name=value, aligned', () => {
  const { log, lines } = open({ format: 'pretty', color: false });
  log.info('streaming', { database: '/a b/1', tx: 5n, list: [1n], name: 'x' });
  log.error('stopped', {
    error: new ConfigurationError('no such bucket', { hint: 'Make it.', cause: new Error('404') }),
  });
  expect(lines).toEqual([
    '07:40:10.123Z INFO:  streaming  database="/a b/1"  tx=5  list=["1"]  name=x\n',
    '07:40:10.123Z ERROR: stopped  error="no such bucket"  hint="Make it."  cause=404\n',
  ]);
});

test('pretty: what the message says already is not said twice; what is short, or no text, is', () => {
  const { log, lines } = open({ format: 'pretty', color: false });
  const url = 'file:///backup/game-0';
  log.warn(`/stdb/1 → ${url} stopped after 5`, {
    url,
    service: `/stdb/1 → ${url}`,
    path: '/stdb',
    tx: 5n,
    other: url + '1',
  });
  expect(lines).toEqual([`07:40:10.123Z WARN:  /stdb/1 → ${url} stopped after 5  path=/stdb  tx=5  other=${url}1\n`]);
});

test('pretty: names from outside cannot steer the terminal', () => {
  const { log, lines } = open({ format: 'pretty', color: false });
  log.info('a\u001b[2Jb\nc', { key: 'x\u001b[31m\u009b' });
  expect(lines).toEqual([String.raw`07:40:10.123Z INFO:  a\x1b[2Jb\x0ac  key=x\x1b[31m\x9b` + '\n']);
});

test('auto is pretty on a terminal, with colours, and JSON elsewhere', () => {
  const terminal = open({ format: 'auto', stream: { write: () => true, isTTY: true } });
  terminal.log.info('hello');
  expect(terminal.lines[0]).toContain('\u001b[');
  const file = open({ format: 'auto' });
  file.log.info('hello');
  expect(file.json()).toEqual([expect.objectContaining({ msg: 'hello' })]);
});

test.each([
  ['debug', 4],
  ['info', 3],
  ['warn', 2],
  ['error', 1],
] as const)('level %s writes %i of four lines', (level, count) => {
  const { log, lines } = open({ level });
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  expect(lines).toHaveLength(count);
});

describe('errors', () => {
  const error = new ConfigurationError('bad', { hint: 'do', facts: { tx: 1n }, cause: new Error('why') });

  test('are facts without a stack', () => {
    const { log, json } = open();
    log.warn('failed', { error });
    expect(json()[0]?.['error']).toEqual({
      type: 'ConfigurationError',
      message: 'bad',
      code: 'CONFIGURATION',
      hint: 'do',
      facts: { tx: '1' },
      cause: { type: 'Error', message: 'why' },
    });
  });

  test('have a stack at the level debug, in both formats', () => {
    const json = open({ level: 'debug' });
    json.log.warn('failed', { error });
    expect(json.json()[0]?.['error']).toMatchObject({ stack: expect.stringContaining('logger.test.ts') as string });
    const pretty = open({ level: 'debug', format: 'pretty', color: false });
    pretty.log.warn('failed', { error });
    expect(pretty.lines[0]).toMatch(/ConfigurationError: bad\n\s+at /);
  });
});

describe('secrets', () => {
  test.each([
    ['s3://key:hunter2@bucket/x', 's3://…@bucket/x'],
    ['at https://u@host/p?a=1 now', 'at https://…@host/p?a=1 now'],
    ['https://h/p?X-Amz-Signature=abcdef&X-Amz-Date=1', `https://h/p?X-Amz-Signature=${REDACTED}&X-Amz-Date=1`],
    ['?sessionToken=abc', `?sessionToken=${REDACTED}`],
    ['AWS_SECRET_ACCESS_KEY=abc rest', `AWS_SECRET_ACCESS_KEY=${REDACTED} rest`],
    ['authorization: Bearer abcdefgh12345678', `authorization: Bearer ${REDACTED}`],
    ['s3://bucket/prefix?region=eu', 's3://bucket/prefix?region=eu'],
    ['mail a@b.c', 'mail a@b.c'],
  ])('%s', (text, redacted) => expect(redactText(text)).toBe(redacted));

  test('by name, at any depth, in message and error', () => {
    const { log, lines } = open({ level: 'debug' });
    log.info('to s3://k:hunter2@b', {
      accessKeyId: 'hunter2',
      deep: { list: [{ 'secret-access-key': 'hunter2', Authorization: 'hunter2' }], sessionToken: 'hunter2' },
      error: new Error('at https://x:hunter2@h', { cause: new Error('token=hunter2') }),
    });
    expect(lines.join('')).toContain(REDACTED);
    expect(lines.join('')).not.toContain('hunter2');
    expect(JSON.stringify(log.events())).not.toContain('hunter2');
  });
});

test('what no JSON holds is shown, bounded', () => {
  const cycle: Record<string, unknown> = { a: 1 };
  cycle['self'] = cycle;
  const { log, json } = open();
  log.info('x', {
    cycle,
    bytes: new Uint8Array(20),
    list: Array.from({ length: 60 }, (_, i) => i),
    level: 0,
    undef: undefined,
  });
  const [line] = json();
  expect(line).toMatchObject({ level: 'info', level_: 0, bytes: '20 bytes 00000000000000000000000000000000…' });
  expect(line?.['list']).toHaveLength(51);
  expect(JSON.stringify(line?.['cycle'])).toContain('"…"');
});

test('the last events are kept, in order, children included', () => {
  const { log } = open({ eventsMax: 3 });
  for (let i = 0; i < 5; i += 1) log.child({ i }).info(`event ${i}`);
  log.debug('not written');
  expect(log.events()).toEqual(
    [2, 3, 4].map((i) => ({ time: '2026-11-21T07:40:10.123Z', level: 'info', message: `event ${i}`, facts: { i } })),
  );
});
