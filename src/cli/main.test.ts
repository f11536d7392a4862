/**
 * Invariant: what was wrong is said on stderr in one line with the remedy on the next, with the documented exit code and
 * without a stack; what was asked for is on stdout, and nothing else.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RanMain, runMain } from '../../test/support/fake-io.ts';

let root: string;
let config: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-cli-'));
  config = join(root, 'c.yml');
  await writeFile(config, `dbs: [{path: "${root}/db", replica: {url: "file://${root}/absent-store"}}]\n`);
  await mkdir(join(root, 'empty-store'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const COMMANDS = [
  'replicate',
  'restore',
  'databases',
  'lease',
  'lease show',
  'lease release',
  'config',
  'config check',
  'config print',
  'config schema',
  'config reference',
  'support-bundle',
  'version',
];

describe('help', () => {
  test.each(COMMANDS)('%s: -help, --help, -h and help COMMAND say the same, on stdout', async (name) => {
    const path = name.split(' ');
    const spellings = [
      [...path, '-help'],
      [...path, '--help'],
      [...path, '-h'],
      ['help', ...path],
      [...path, '-help', 'x', '-h'],
    ];
    const said: RanMain[] = [];
    for (const argv of spellings) said.push(await runMain(argv));
    expect(said).toEqual(said.map(() => ({ code: 0, stdout: said[0]?.stdout, stderr: '' })));
    expect(said[0]?.stdout).toMatch(new RegExp(`^Usage: stdb-replicate ${name} .*\n\n[A-Z]`));
    expect(said[0]?.stdout).toMatch(/\nExamples:\n {2}# .*\n {2}stdb-replicate /);
  });

  test('lists what works and nothing else', async () => {
    const { stdout } = await runMain(['help', 'restore']);
    const flags = [...stdout.matchAll(/^ {2}(-[a-z-]+)/gm)].map(([, flag]) => flag);
    expect(flags).toEqual([
      '-o',
      '-config',
      '-tx',
      '-timestamp',
      '-before-reducer',
      '-generation',
      '-replica-id',
      '-partial',
      '-uid',
      '-gid',
      '-mode',
      '-if-db-not-exists',
      '-if-replica-exists',
      '-dry-run',
      '-parallelism',
      '-memory',
      '-give-up-after',
      '-progress',
      '-json',
      '-follow',
      '-interval',
      '-log-level',
      '-log-format',
      '-help',
    ]);
    const { stdout: all } = await runMain(['-help']);
    const commands = /Commands:\n([^]*?)\n\n/.exec(all)?.[1]?.matchAll(/^ {2}(\S+)/gm) ?? [];
    expect([...commands].map(([, name]) => name)).toEqual([
      'replicate',
      'restore',
      'databases',
      'generations',
      'snapshots',
      'points',
      'log',
      'verify',
      'drill',
      'lease',
      'config',
      'support-bundle',
      'version',
      'help',
    ]);
  });

  test('without a command it is on stderr, and a failure', async () => {
    expect(await runMain([])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^Usage:/) as string,
    });
    expect(await runMain(['config'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('a wrong command line', () => {
  const cases: [argv: string[], message: string][] = [
    [['restor'], 'unknown command "restor", did you mean restore?'],
    [['xyzzy'], 'unknown command "xyzzy"'],
    [['status'], 'unknown command "status", did you mean databases?'],
    [['config', 'chek'], 'unknown command "chek", did you mean check?'],
    [['help', 'restor'], 'unknown command "restor", did you mean restore?'],
    [['restore', '-confg', 'x'], 'unknown flag -confg for restore, did you mean -config?'],
    [['restore', '--confg=x'], 'unknown flag -confg for restore, did you mean -config?'],
    [['restore', '-only'], 'unknown flag -only for restore'],
    [['restore', '-interval', '2s', '-o', 'x', 's3://bkt/x'], '-interval goes with -follow'],
    [['restore', '-follow', '-tx', '5', '-o', 'x', 's3://bkt/x'], '-follow and -tx exclude each other'],
    [['replicate', '-follow'], 'unknown flag -follow for replicate'],
    [['replicate', '-once', '-exec', 'server'], '-once and -exec exclude each other'],
    [['replicate', '-once', '-standby'], '-once and -standby exclude each other'],
    [['replicate', '-once', '-restore-if-db-not-exists'], '-once and -restore-if-db-not-exists exclude each other'],
    [['replicate', '-exec', 'a | b'], 'the command of -exec contains |, and no shell reads it'],
    [['config', 'check', '-confi', 'x'], 'unknown flag -confi for config check, did you mean -config?'],
    [['-loglevel', 'debug', 'version'], 'unknown flag -loglevel, did you mean -log-level?'],
    [['replicate', '-once=maybe'], '-once is a switch and takes no value but true and false'],
    [['restore', '-config'], '-config needs a value (-config FILE)'],
    [['restore'], 'restore takes DB_DIR or URL; none was given'],
    [['restore', 'a', 'b'], 'restore takes DB_DIR or URL; 2 were given: a b'],
    [['replicate', 'a'], 'replicate takes DB_DIR and URL, or neither; only a was given'],
    [['replicate', 'a', 'b', 'c'], '2 problems in the configuration'],
    [['replicate', 's3://bkt/x', '/db'], 'DB_DIR comes first, then URL'],
    [
      ['replicate', '-config', 'f', '/db', 's3://bkt/x'],
      'DB_DIR and URL stand for a configuration: give them, or -config',
    ],
    [['restore', 's3://bkt/x'], 'a URL says where from, and -o DIR where to: -o is missing'],
    [['restore', '-parallelism', '0', '-o', 'x', 's3://bkt/x'], '-parallelism: "0" is no whole number from 1 to 64'],
    [
      ['restore', '-give-up-after', '5', '-o', 'x', 's3://bkt/x'],
      '-give-up-after: "5" is no duration of at most a day',
    ],
    [
      ['restore', '-progress', 'jsn', '-o', 'x', 's3://bkt/x'],
      '-progress: "jsn" is none of auto, plain, json, none, did you mean json?',
    ],
    [['restore', '-memory', '1', '-o', 'x', 's3://bkt/x'], '-memory: "1" is no size: write 8MiB, 96MB or 1GiB'],
    [
      ['restore', '-log-level', 'loud', '-o', 'x', 's3://bkt/x'],
      '-log-level: "loud" is none of debug, info, warn, error',
    ],
    [['version', 'x'], 'version takes no arguments; only x was given'],
    [['databases', 'x'], 'databases takes no arguments; only x was given'],
    [['support-bundle', 'x'], 'x does not end in .zip'],
  ];
  test.each(cases)('%j', async (argv, message) => {
    const { code, stdout, stderr } = await runMain(argv);
    expect({ code, stdout, stderr: stderr.split('\n')[0] }).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: ${message}`,
    });
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test('the hint names the help of that command', async () => {
    expect((await runMain(['config', 'check', '-x'])).stderr).toBe(
      'error: unknown flag -x for config check\nhint: `stdb-replicate config check -help` shows how it is used.\n',
    );
  });

  test('a stack is shown at the level debug alone', async () => {
    for (const argv of [
      ['-log-level', 'debug', 'xyzzy'],
      ['-log-level=debug', 'xyzzy'],
    ]) {
      expect((await runMain(argv)).stderr).toMatch(/^\s+at /m);
    }
    expect((await runMain(['xyzzy'], { env: { STDB_REPLICATE_LOG_LEVEL: 'debug' } })).stderr).toMatch(/^\s+at /m);
    expect(
      (await runMain(['-log-level', 'info', 'xyzzy'], { env: { STDB_REPLICATE_LOG_LEVEL: 'debug' } })).stderr,
    ).not.toMatch(/^\s+at /m);
  });

  test('names from outside cannot steer the terminal', async () => {
    const { stderr } = await runMain(['\u001b[2Jx']);
    expect(stderr).toContain(String.raw`\u001b[2Jx`);
    expect((await runMain(['support-bundle', '\u001b[2Jx'])).stderr).toContain(String.raw`\x1b[2Jx does not end`);
  });
});

describe('version', () => {
  test('for people and for scripts', async () => {
    const { code, stdout, stderr } = await runMain(['version']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^stdb-replicate \d+\.\d+\.\d+ \(node 24\.0\.0, zstd 1\.5\.7, linux \w+\)\n$/);
    expect(JSON.parse((await runMain(['version', '-json'])).stdout)).toMatchObject({ format: 1, node: '24.0.0' });
  });
});

describe('config', () => {
  test('check is silent about nothing', async () => {
    expect(await runMain(['config', 'check', '-config', config])).toEqual({
      code: 0,
      stdout: `${config}: right (1 database)\n`,
      stderr: '',
    });
    const bad = join(root, 'bad.yml');
    await writeFile(bad, 'leas-ttl: 1m\nmemory: 5\n');
    const { code, stdout, stderr } = await runMain(['config', 'check', '-config', bad]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toBe(`error: 3 problems in the configuration
  ${bad}:1:1: dbs is missing
  ${bad}:1:1: unknown key "leas-ttl", did you mean lease-ttl?
  ${bad}:2:9: memory: 5 has no unit: write 5MiB, for instance
hint: \`stdb-replicate config reference\` lists every option; replicate.yml.example shows a whole file.
`);
  });

  test('the file is -config, else the environment, else /etc', async () => {
    expect((await runMain(['config', 'check'], { env: { STDB_REPLICATE_CONFIG: config } })).stdout).toContain(config);
    const other = join(root, 'other.yml');
    expect(
      (await runMain(['config', 'check', '-config', other], { env: { STDB_REPLICATE_CONFIG: config } })).stderr,
    ).toMatch(`error: there is no configuration file ${other}\nhint: Name one`);
    expect((await runMain(['config', 'check'])).stderr).toContain('/etc/stdb-replicate.yml');
  });

  test('print tells where each value is from, a flag before the command too', async () => {
    const { stdout } = await runMain(['-log-level', 'warn', 'config', 'print', '-config', config, '-log-format=json'], {
      env: { STDB_REPLICATE_MEMORY: '64MiB' },
    });
    expect(stdout).toMatch(/^memory: 64MiB +# environment$/m);
    expect(stdout).toMatch(/^ {2}level: warn +# flag$/m);
    expect(stdout).toMatch(/^ {2}format: json +# flag$/m);
    expect(stdout).toMatch(/^lease-ttl: 1m +# default$/m);
    expect(stdout).toMatch(/^dbs: +# file$/m);
  });

  test('schema is JSON, reference a table', async () => {
    expect(JSON.parse((await runMain(['config', 'schema'])).stdout)).toMatchObject({ type: 'object' });
    expect((await runMain(['config', 'reference'])).stdout).toMatch(/^\| option \|/);
  });
});

describe('what a command names', () => {
  test('a database that the configuration does not know', async () => {
    const { code, stderr } = await runMain(['restore', '-config', config, `${root}/other`]);
    expect(code).toBe(2);
    expect(stderr).toBe(
      `error: ${root}/other is not among the databases of ${config}\nhint: Name one of: ${root}/db.\n`,
    );
  });

  test('a directory around one', async () => {
    const { code, stderr } = await runMain(['restore', '-config', config, root]);
    expect([code, stderr]).toEqual([
      2,
      `error: ${root} is not one database but holds some\nhint: Name one of: ${root}/db.\n`,
    ]);
  });

  test('a replica directory of a server that the configuration names', async () => {
    const { code, stderr } = await runMain(['restore', '-config', config, '-replica-id', '3', `${root}/db/replicas/1`]);
    expect([code, stderr]).toEqual([2, `error: ${root}/db/replicas/1 is not the directory of replica 3\n`]);
  });

  test.each([
    ['-replica-id', 'x'],
    ['-replica-id', '18446744073709551616'],
    ['-uid', '-1'],
    ['-gid', 'users'],
    ['-mode', '0650'],
    ['-mode', '1777'],
  ])('restore %s %s', async (flag, value) => {
    const { code, stderr } = await runMain([
      'restore',
      `${flag}=${value}`,
      '-o',
      `${root}/out`,
      `file://${root}/store`,
    ]);
    expect([code, stderr.split(' ', 2)]).toEqual([2, ['error:', `${flag}:`]]);
  });

  test('a URL that is none', async () => {
    const { code, stderr } = await runMain(['restore', '-o', `${root}/out`, 'ftp://host/x']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: .*ftp/);
  });

  test('a destination whose root is absent is no "no backup"', async () => {
    const { code, stderr } = await runMain([
      'restore',
      '-if-replica-exists',
      '-o',
      `${root}/out`,
      `file://${root}/absent-store`,
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: .*absent-store.*\nhint: /);
  });

  test('a destination without a backup', async () => {
    const argv = ['restore', '-o', `${root}/out`, `file://${root}/empty-store`];
    const { code, stderr } = await runMain(argv);
    expect(code).toBe(10);
    expect(stderr).toMatch(/error: there is no backup.*\nhint: /);
    const tolerant = await runMain([...argv, '-if-replica-exists', '-json']);
    expect(tolerant.code).toBe(0);
    expect(JSON.parse(tolerant.stdout)).toEqual({ format: 1, outcome: 'no-backup', target: `${root}/out` });
  });
});
