/**
 * Invariant: what a store holds is shown as it is, in tables that fit and in JSON that parses: three generations, levels,
 * a branch within an object, a hole with a snapshot behind it, a line that was left.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeFormatDocument } from '../../src/layout/format-document.ts';
import { FORMAT_KEY } from '../../src/layout/keys.ts';
import { openReplicaClient } from '../../src/replica/registry.ts';
import { prefixedClient } from '../../src/replica/wrap/prefixed.ts';
import { buildBrowseScene, HOLE, SCENE_BEGIN } from '../support/browse-scene.ts';
import { PROGRAM, type ProgramResult, runProgram } from '../support/program.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;
let url: string;
let serverUrl: string;
/** More log than a pipe holds. */
let longUrl: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  for (const name of ['store', 'server', 'empty', 'long']) await mkdir(directory.at(name));
  url = `file://${directory.at('store')}`;
  longUrl = `file://${directory.at('long')}`;
  serverUrl = `file://${directory.at('server')}`;
  await using client = await openReplicaClient(url, { requestTimeoutMs: 5000 });
  await buildBrowseScene(client, { scratch: directory.at('made') });
  await using long = await openReplicaClient(longUrl, { requestTimeoutMs: 5000 });
  await buildBrowseScene(long, { scratch: directory.at('made-long'), more: 40_000 });
  await using server = await openReplicaClient(serverUrl, { requestTimeoutMs: 5000 });
  await server.put(FORMAT_KEY, encodeFormatDocument({ kind: 'server' }));
  for (const id of [3, 12]) {
    const scratch = directory.at(`made-${id}`);
    await buildBrowseScene(prefixedClient(server, `replicas/${id}/`), { scratch, withFormat: false });
  }
});
afterAll(() => directory[Symbol.asyncDispose]());

const run = (args: readonly string[], env: Record<string, string> = {}): Promise<ProgramResult> =>
  runProgram(args, { env });

interface Document {
  readonly format: number;
  readonly destinations: readonly unknown[];
}

async function json(args: readonly string[], code = 0): Promise<Document> {
  const result = await run([...args, '-json']);
  expect(result.stderr).toBe('');
  expect(result.code).toBe(code);
  return JSON.parse(result.stdout) as Document;
}

async function lines(args: readonly string[], code = 0): Promise<{ first: string; last: string; reducer: string }[]> {
  const result = await run(['log', ...args, '-json']);
  expect(result.code, result.stderr).toBe(code);
  return result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { first: string; last: string; reducer: string });
}

const range = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`);
const timeOf = (tx: number): string => new Date(Number(SCENE_BEGIN / 1000n) + tx * 1000).toISOString();

describe('generations', () => {
  test('JSON', async () => {
    const { format, destinations } = await json(['generations', url]);
    expect(format).toBe(1);
    expect(destinations).toMatchObject([
      {
        destination: url,
        parts: [
          {
            prefix: '',
            replicaId: null,
            generations: [
              {
                place: 'line',
                until: '124',
                reason: 'first',
                first: '0',
                last: { tx: '299' },
                logObjects: 31,
                snapshots: 2,
              },
              {
                place: 'line',
                until: '199',
                reason: 'rolled-back',
                parent: { tx: '124' },
                first: '125',
                logObjects: 1,
              },
              {
                place: 'head',
                until: null,
                reason: 'takeover',
                last: { tx: '229' },
                problem: 'nothing goes on behind transaction 229, and there are objects up to 249',
              },
            ],
          },
        ],
      },
    ]);
  });

  test.each<[number, readonly string[]]>([
    [80, ['generations', 'snapshots', 'points']],
    [200, ['generations']],
  ])('tables of %i columns: %o', async (width, commands) => {
    for (const command of commands) {
      const { stdout, code } = await run([command, url], { COLUMNS: `${width}` });
      expect(code).toBe(0);
      const table = stdout.split('\n').filter((line) => !line.includes(' ! ') && !line.includes('no room for'));
      for (const line of table) expect(line.length, line).toBeLessThanOrEqual(Math.max(width, url.length));
    }
  });
});

test('snapshots: of the head’s line and not', async () => {
  const { destinations } = await json(['snapshots', url]);
  expect(destinations[0]).toMatchObject({
    parts: [
      {
        snapshots: [
          { tx: '60', onHeadLine: true, state: 'usable' },
          { tx: '244', onHeadLine: true, state: 'usable' },
          { tx: '280', onHeadLine: false, state: 'usable' },
        ],
      },
    ],
  });
});

test('points: ranges, the gap, and the line that was left', async () => {
  const { destinations } = await json(['points', url]);
  expect(destinations[0]).toMatchObject({
    parts: [
      {
        isHead: true,
        ranges: [
          { from: '0', to: '229', base: 'log', granularity: 'commit' },
          { from: '244', to: '249', base: 'snapshot', snapshot: '244', granularity: 'commit' },
        ],
        gaps: [{ after: '229', before: '244', until: null }],
        otherLines: [{ tx: '299' }],
      },
    ],
  });
  const other = await json(['points', '-generation', '1', url]);
  expect(other.destinations[0]).toMatchObject({
    parts: [{ isHead: false, ranges: [{ from: '0', to: '299' }], gaps: [] }],
  });
});

describe('log', () => {
  test('the last 20, and that a part of them is missing', async () => {
    const found = await lines([url], 14);
    expect(found.map(({ last }) => last)).toEqual([...range(216, 229), ...range(HOLE.snapshot, 249)]);
  });

  test('ranges of transactions and of times', async () => {
    const txs = async (...args: readonly string[]): Promise<string[]> =>
      (await lines([...args, url])).map(({ last }) => last);
    // Over the branch within an object, and over levels.
    expect(await txs('-from', '118', '-to', '131')).toEqual(range(118, 131));
    expect(await txs('-from', timeOf(120), '-to', timeOf(126))).toEqual(range(120, 126));
    expect(await txs('-to', '10', '-n', '3')).toEqual(range(8, 10));
    expect(await txs('-from', '245')).toEqual(range(245, 249));
    expect(await txs('-n', '2')).toEqual(['248', '249']);
    expect(await txs('-generation', '1', '-n', '1')).toEqual(['299']);
    expect(await txs('-to', '200', '-reducer', 'wipe', '-n', '3')).toEqual(['150', '175', '200']);
    expect(await txs('-to', '200', '-reducer', 'wip', '-n', '3')).toEqual([]);
  });

  test('a reader that goes away ends it cleanly', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'log', '-from', '0', '-json', url], {
      env: { PATH: process.env['PATH'], HOME: tmpdir() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.destroy();
    const [code] = (await once(child, 'close')) as [number | null];
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  test('a signal ends it at once', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'log', '-from', '0', '-json', longUrl], {
      env: { PATH: process.env['PATH'], HOME: tmpdir() },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    // The pipe is full, and nobody reads on: the program waits.
    await once(child.stdout, 'readable');
    child.kill('SIGINT');
    child.stdout.resume();
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(130);
    expect(stderr).toContain('stopped before the end of what was asked for');
  });

  test('two directions at once are refused', async () => {
    expect((await run(['log', '-from', '9', '-to', '3', url])).code).toBe(2);
    expect((await run(['log', '-from', '9', '-since', '3m', url])).code).toBe(2);
    expect((await run(['log', '-generation', '9', url])).code).toBe(2);
  });
});

test('nothing there is 10, for each command', async () => {
  for (const command of ['generations', 'snapshots', 'points', 'log']) {
    const { code, stderr } = await run([command, `file://${directory.at('empty')}`]);
    expect(stderr).toContain('there is no backup');
    expect(code, command).toBe(10);
  }
  expect((await run(['points', `file://${directory.at('absent')}`])).code).toBe(2);
});

describe('a whole server', () => {
  test('each database has a place of its own', async () => {
    const { destinations } = await json(['points', serverUrl]);
    expect(destinations[0]).toMatchObject({
      parts: [
        { prefix: 'server/', kind: 'server', images: [] },
        { prefix: 'replicas/3/', replicaId: '3', generation: '00000003-00000003' },
        { prefix: 'replicas/12/', replicaId: '12', generation: '00000003-00000003' },
      ],
    });
    const one = await json(['snapshots', '-replica-id', '12', serverUrl]);
    expect(one.destinations[0]).toMatchObject({ parts: [{ prefix: 'replicas/12/' }] });
  });

  test('the log is that of one', async () => {
    const { code, stderr } = await run(['log', serverUrl]);
    expect(code).toBe(2);
    expect(stderr).toContain('3, 12');
    expect(await lines(['-replica-id', '3', '-n', '1', serverUrl])).toMatchObject([{ last: '249' }]);
  });
});

test('a directory of the configuration: all its destinations; the log of the one that a restore would take', async () => {
  const config = directory.at('config.yml');
  const path = directory.at('database');
  await writeFile(
    config,
    `dbs:\n  - path: ${path}\n    replicas:\n      - url: file://${directory.at('empty')}\n      - url: ${url}\n`,
  );
  const result = await run(['generations', '-json', '-config', config, path]);
  expect(result.code).toBe(3);
  const { destinations } = JSON.parse(result.stdout) as { destinations: object[] };
  expect(destinations).toMatchObject([{ error: 'NO_BACKUP' }, { destination: url, parts: [{ prefix: '' }] }]);
  expect((await lines(['-config', config, '-n', '1', path])).map(({ last }) => last)).toEqual(['249']);
  expect((await run(['points', '-generation', '1', '-config', config, path])).code).toBe(2);
});
