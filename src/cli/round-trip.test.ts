/**
 * Invariant: over a real directory and a real store each command says what is there, and does what it says: people read
 * stderr, scripts the one document on stdout.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runMain } from '../../test/support/fake-io.ts';
import { copyVector } from '../../test/vectors/vectors.ts';

let root: string;
let config: string;
let url: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-cli-'));
  copyVector('v2-small', join(root, 'db'));
  await mkdir(join(root, 'store'));
  url = `file://${root}/store`;
  config = join(root, 'c.yml');
  await writeFile(
    config,
    `owner: me
log: {format: json}
dbs:
  - {path: "${root}/db", replica: {url: "${url}"}}
  - {path: "${root}/later", replica: {url: "file://${root}/absent"}}
`,
  );
  const { code, stderr } = await runMain(['replicate', '-once', `${root}/db`, url], {
    env: { STDB_REPLICATE_OWNER: 'me' },
  });
  expect(code, stderr).toBe(0);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('restore', () => {
  test('tells people what it restored, on stderr alone', async () => {
    const { code, stdout, stderr } = await runMain(['restore', '-o', `${root}/people`, url]);
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain(`restored ${root}/people\n`);
    expect(stderr).toMatch(/transaction {2}299 of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, .* ago\n/);
    expect(stderr).toMatch(/from {9}file:.*\/store, generation 00000001-[0-9a-f]{8}\n/);
    expect(stderr).toMatch(/made of {6}snapshot 180, \d+ objects; \d+ segments? of the log\n/);
    expect(stderr).toMatch(/written {6}.* verified, in .*fetched\n/);
    const name = 'clog/00000000000000000147.stdb.log';
    const source = await readFile(join(root, 'db', name));
    const restored = await readFile(join(root, 'people', name));
    expect(restored.equals(source.subarray(0, restored.byteLength))).toBe(true);
  });

  test('tells scripts the same, in one document', async () => {
    const { code, stdout } = await runMain(['restore', '-json', '-progress', 'none', '-o', `${root}/scripts`, url]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      format: 1,
      outcome: 'restored',
      target: `${root}/scripts`,
      source: url,
      tx: '299',
      snapshot: '180',
      time: expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/) as string,
      warnings: [],
    });
  });

  test('-dry-run prints the plan and writes nothing', async () => {
    const { code, stdout } = await runMain(['restore', '-dry-run', '-o', `${root}/dry`, url]);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^would restore ${root}/dry\n  transaction  299 `));
    await expect(readFile(`${root}/dry/clog`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('-generation names a line by its number; one that is not there is a wrong argument', async () => {
    const chosen = await runMain(['restore', '-generation', '1', '-dry-run', '-json', '-o', `${root}/line`, url]);
    expect(JSON.parse(chosen.stdout)).toMatchObject({ tx: '299' });
    const unknown = await runMain(['restore', '-generation', '7', '-dry-run', '-o', `${root}/line`, url]);
    expect(unknown.code, unknown.stderr).toBe(2);
  });

  test('a database that is there is left alone: 16, or 0 where that was asked for', async () => {
    const argv = ['restore', '-config', config, `${root}/db`];
    const refused = await runMain(argv);
    expect(refused.code).toBe(16);
    expect(refused.stderr).toContain(`${root}/db`);
    const tolerant = await runMain([...argv, '-if-db-not-exists']);
    expect(tolerant).toEqual({
      code: 0,
      stdout: '',
      stderr: `${root}/db already holds a database: nothing was restored\n`,
    });
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s in the middle leaves nothing: %i', async (signal, expected) => {
    const target = join(root, 'stopped');
    const argv = ['restore', '-progress', 'json', '-o', target, url];
    const { code, stderr } = await runMain(argv, {
      onStderr: (text, send) => {
        if (text.includes('"fetch"')) send(signal);
      },
    });
    expect(code, stderr).toBe(expected);
    expect(stderr).toContain(`error: the restore was stopped: ${target} was left as it was\n`);
    expect((await readdir(root)).filter((name) => name.includes('stopped'))).toEqual([]);
  });
});

describe('databases', () => {
  test('shows what is there, what is stored, and what could not be asked', async () => {
    const { code, stdout } = await runMain(['databases', '-config', config]);
    expect(code).toBe(3);
    const [first = '', second = ''] = stdout.split('\n\n');
    expect(first).toContain(`${root}/db\n  destination  ${url}\n`);
    expect(first).toMatch(/local {8}transactions 0 to 299 in 2 segments, /);
    expect(first).toMatch(/stored {7}up to transaction 299 of /);
    expect(first).toMatch(/lag {10}none\n/);
    expect(first).toMatch(/snapshot {5}180\n/);
    expect(first).toMatch(/generation {3}00000001-[0-9a-f]{8}, written by me on .* \(released\)/);
    expect(second).toMatch(/local {8}not there\n {2}stored {7}error: .*absent/);
  });

  test('-json', async () => {
    const { code, stdout } = await runMain(['databases', '-config', config, '-json']);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      format: 1,
      databases: [
        {
          path: `${root}/db`,
          lagTransactions: '0',
          local: { kind: 'replica', first: '0', last: '299', segments: 2 },
          stored: { owner: 'me', released: true, position: { tx: '299' }, newestSnapshot: '180' },
        },
        { path: `${root}/later`, local: { kind: 'absent', last: null }, stored: { error: 'STORE_NOT_FOUND' } },
      ],
    });
  });
});

describe('support-bundle', () => {
  const unzip = async (path: string) =>
    Object.fromEntries(
      Object.entries(unzipSync(await readFile(path))).map(([name, bytes]) => [name, strFromU8(bytes)]),
    );

  test('collects what can be had, notes what cannot, and overwrites nothing', async () => {
    const path = join(root, 'bundle.zip');
    const argv = ['support-bundle', '-config', config, path];
    const { code, stdout, stderr } = await runMain(argv);
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: '' });
    const files = await unzip(path);
    expect(Object.keys(files).sort()).toEqual([
      'configuration.yml',
      'databases.json',
      'databases.txt',
      'names/1.txt',
      'names/2.txt',
      'service-events.txt',
      'service-health.txt',
      'service-metrics.txt',
      'versions.json',
    ]);
    expect(files['names/1.txt']).toMatch(/^ +\d+ head\.json$/m);
    expect(files['names/2.txt']).toMatch(/could not be collected: .*absent/);
    for (const name of ['service-health.txt', 'service-events.txt']) {
      expect(files[name]).toBe('not served: the configuration has no `addr`\n');
    }
    expect(files['configuration.yml']).toMatch(/^owner: me/m);
    const again = await runMain(argv);
    expect([again.code, again.stderr.split('\n')[0]]).toEqual([2, `error: ${path} exists and is not overwritten`]);
  });

  test('asks a running service', async () => {
    const server = createServer((request, response) => response.end(`answer to ${request.url}`));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const path = join(root, 'running.zip');
    await runMain(['support-bundle', '-config', config, path], { env: { STDB_REPLICATE_ADDR: `127.0.0.1:${port}` } });
    server.close();
    server.closeAllConnections();
    const files = await unzip(path);
    expect(files['service-metrics.txt']).toContain('answer to /metrics');
    expect(files['service-events.txt']).toContain('answer to /events');
  });

  test('is made without a configuration too', async () => {
    const path = join(root, 'without.zip');
    const { code } = await runMain(['support-bundle', '-config', join(root, 'none.yml'), path]);
    expect(code).toBe(0);
    expect((await unzip(path))['configuration.txt']).toContain('there is no configuration file');
  });
});
