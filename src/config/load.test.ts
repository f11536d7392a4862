/**
 * Invariant: a configuration is read whole and right, or refused with every problem named at its line and column.
 * Nothing is guessed: no unknown key, no unit left out, no variable that is not set.
 */
import { describe, expect, test } from 'vitest';
import { ConfigurationError, LocalFileError } from '../core/errors.ts';
import { type LoadOptions, loadConfig, loadConfigWithOrigins } from './load.ts';

const FILE = '/etc/c.yml';
const DBS = 'dbs:\n  - path: /stdb/replicas/1\n    replica: {url: "file:///backup/1"}\n';

const load = (text: string, options: Partial<LoadOptions> = {}) =>
  loadConfig({ path: FILE, env: {}, readFile: () => Promise.resolve(text), ...options });

async function messageOf(text: string, options: Partial<LoadOptions> = {}): Promise<string> {
  const error: unknown = await load(text, options).then(
    () => new Error('was read without an error'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigurationError);
  return (error as ConfigurationError).message;
}

test('a file with databases alone is complete by the defaults', async () => {
  expect(await load(DBS)).toEqual({
    addr: null,
    owner: null,
    takeover: false,
    leaseTtlMs: 60_000,
    shutdownTimeoutMs: 20_000,
    memoryBytes: 96 * 2 ** 20,
    compressionLevel: 1,
    requestTimeoutMs: 30_000,
    log: { level: 'info', format: 'auto' },
    levels: [{ intervalMs: 1000 }],
    drill: null,
    dbs: [{ path: '/stdb/replicas/1', replicas: [{ url: 'file:///backup/1' }], extraFiles: [] }],
  });
});

test('drills: a period is enough', async () => {
  const { drill } = await load(`drill: {every: 24h}\n${DBS}`);
  expect(drill).toEqual({ everyMs: 86_400_000, exec: null, execTimeoutMs: 600_000, scratch: null });
  const whole = await load(`drill: {every: 1h, exec: "test -d x", exec-timeout: 5s, scratch: /tmp/x}\n${DBS}`);
  expect(whole.drill).toEqual({ everyMs: 3_600_000, exec: 'test -d x', execTimeoutMs: 5_000, scratch: '/tmp/x' });
});

test('every option can be written', async () => {
  const text = `addr: "[::1]:9090"
owner: game-0
takeover: true
lease-ttl: 5m
shutdown-timeout: 1500ms
memory: 1GiB
compression-level: 19
request-timeout: 1m
log: {level: debug, format: json}
levels: [{interval: 100ms}]
${DBS}`;
  expect(await load(text)).toMatchObject({
    addr: { host: '::1', port: 9090 },
    owner: 'game-0',
    takeover: true,
    leaseTtlMs: 300_000,
    shutdownTimeoutMs: 1500,
    memoryBytes: 2 ** 30,
    compressionLevel: 19,
    requestTimeoutMs: 60_000,
    log: { level: 'debug', format: 'json' },
    levels: [{ intervalMs: 100 }],
  });
});

describe('one problem is one line that names file, line and column', () => {
  const cases: [name: string, text: string, message: string][] = [
    ['underscore for dash', `lease_ttl: 1m\n${DBS}`, '1:1: unknown key "lease_ttl", did you mean lease-ttl?'],
    ['letters swapped', `log: {levle: debug}\n${DBS}`, '1:7: unknown key "levle" in log, did you mean level?'],
    [
      'nothing near',
      `zzzzzz: 1\nlog: {}\n${DBS}`,
      '1:1: unknown key "zzzzzz" (known: addr, owner, takeover, lease-ttl, shutdown-timeout, memory, compression-level, request-timeout, log, levels, drill, dbs)',
    ],
    [
      'a key of a list item',
      'dbs:\n  - path: /a\n    replica: {url: "file:///b"}\n    pth: 1\n',
      '4:5: unknown key "pth" in dbs[0], did you mean path?',
    ],
    ['a slip in replicas', `${DBS}    replcas: []\n`, '4:5: unknown key "replcas" in dbs[0], did you mean replicas?'],
    [
      'replica and replicas',
      `${DBS}    replicas: [{url: "file:///b"}]\n`,
      '4:15: dbs[0].replicas: stands beside replica: keep one of the two',
    ],
    ['no replicas', 'dbs: [{path: /a, replicas: []}]\n', '1:28: dbs[0].replicas must not be empty'],
    [
      'a replica that is text',
      'dbs: [{path: /a, replicas: [x]}]\n',
      '1:29: dbs[0].replicas[0] must be a mapping (name: value), not "x"',
    ],
    ['text for a boolean', `takeover: "yes"\n${DBS}`, '1:11: takeover must be true or false, not "yes"'],
    [
      'a relative extra file',
      `${DBS}    extra-files: [key]\n`,
      '4:19: dbs[0].extra-files[0]: "key" is not absolute: begin the path with /',
    ],
    [
      'extra files of one name',
      `${DBS}    extra-files: [/a/key, /b/key]\n`,
      '4:27: dbs[0].extra-files[1]: key is the name of another of them',
    ],
    [
      'a hostile key',
      `__proto__: {}\n${DBS}`,
      '1:1: unknown key "__proto__" (known: addr, owner, takeover, lease-ttl, shutdown-timeout, memory, compression-level, request-timeout, log, levels, drill, dbs)',
    ],
    ['duplicate', `memory: 1GiB\nmemory: 2GiB\n${DBS}`, '2:1: this key was given before: keep one of the two'],
    ['tab', `log:\n\tlevel: info\n`, '2:1: not valid YAML: Tabs are not allowed as indentation'],
    ['two documents', `${DBS}---\nowner: x\n`, '4:1: a second document begins here: the file must be one'],
    ['duration without unit', `lease-ttl: 60\n${DBS}`, '1:12: lease-ttl: 60 has no unit: write 60s, for instance'],
    [
      'strange duration',
      `lease-ttl: 1 minute\n${DBS}`,
      '1:12: lease-ttl: "1 minute" is no duration: write 250ms, 1s, 5m, 1h or 30d',
    ],
    ['short duration', `lease-ttl: 1s\n${DBS}`, '1:12: lease-ttl: "1s" is too small: at least 5s'],
    ['long duration', `shutdown-timeout: 2h\n${DBS}`, '1:19: shutdown-timeout: "2h" is too large: at most 1h'],
    ['size without unit', `memory: 96\n${DBS}`, '1:9: memory: 96 has no unit: write 96MiB, for instance'],
    ['strange size', `memory: 96 megs\n${DBS}`, '1:9: memory: "96 megs" is no size: write 8MiB, 96MB or 1GiB'],
    ['compression level', `compression-level: 20\n${DBS}`, '1:20: compression-level: 20 is too large: at most 19'],
    ['half a level', `compression-level: 1.5\n${DBS}`, '1:20: compression-level must be a whole number, not 1.5'],
    ['empty value', `owner:\n${DBS}`, '1:7: owner has no value'],
    ['blank text', `owner: " "\n${DBS}`, '1:8: owner is empty'],
    ['number for text', `owner: 7\n${DBS}`, '1:8: owner must be text, not 7: put it in quotes, as "7"'],
    ['list for mapping', `log: []\n${DBS}`, '1:6: log must be a mapping (name: value), not a list'],
    [
      'none of the names',
      `log: {level: inf}\n${DBS}`,
      '1:14: log.level: "inf" is none of debug, info, warn, error, did you mean info?',
    ],
    [
      'port alone',
      `addr: ":9090"\n${DBS}`,
      '1:7: addr: ":9090" is no HOST:PORT: write 127.0.0.1:9090 for this machine alone, 0.0.0.0:9090 for every interface',
    ],
    ['high port', `addr: localhost:70000\n${DBS}`, '1:7: addr: "localhost:70000" has a port above 65535'],
    [
      'more than one level',
      `levels: [{interval: 1s}, {interval: 5m}]\n${DBS}`,
      '1:26: levels above 0 are not available in this release: keep one entry, as in levels: [{interval: 1s}]',
    ],
    ['no level', `levels: []\n${DBS}`, '1:9: levels must not be empty'],
    [
      'quick interval',
      `levels: [{interval: 50ms}]\n${DBS}`,
      '1:21: levels[0].interval: "50ms" is too small: at least 100ms',
    ],
    ['no databases', 'dbs: []\n', '1:6: dbs must not be empty'],
    [
      'relative path',
      'dbs: [{path: data, replica: {url: "file:///b"}}]\n',
      '1:14: dbs[0].path: "data" is not absolute: begin the path with /',
    ],
    [
      'missing replica',
      'dbs: [{path: /data}]\n',
      '1:7: dbs[0]: there is no destination: add replica, as in replica: {url: "file:///backup"}',
    ],
    ['anchor', `owner: &o x\n${DBS}`, '1:11: anchors are not read here: write each value out'],
    ['tag', `owner: !env X\n${DBS}`, '1:8: not valid YAML: Unresolved tag: !env'],
    ['unset variable', `owner: \${NOT_SET}\n${DBS}`, '1:8: the environment variable NOT_SET is not set'],
    [
      'variable with default',
      `owner: "\${A:-x}"\n${DBS}`,
      '1:8: "${A:-x}" names no variable: only ${NAME} is expanded, write $${ for a literal ${',
    ],
    ['open variable', `owner: "\${A"\n${DBS}`, '1:8: "${" without "}": write $${ for a literal ${'],
  ];
  test.each(cases)('%s', async (_name, text, message) => {
    expect(await messageOf(text)).toBe(`${FILE}:${message}`);
  });

  test('a file without a place for the problem', async () => {
    expect(await messageOf('')).toBe(`${FILE}: dbs is missing`);
    expect(await messageOf('# nothing\n')).toBe(`${FILE}: dbs is missing`);
  });
});

test('all problems are told at once, in the order of the file', async () => {
  const text = `owner: \${NOT_SET}
lease_ttl: 60s
memory: 1kB
dbs:
  - path: data
    replica: {url: "\${NOT_SET}"}
  - replica: {url: "file:///b"}
`;
  expect(await messageOf(text)).toBe(`6 problems in the configuration
  ${FILE}:1:8: the environment variable NOT_SET is not set
  ${FILE}:2:1: unknown key "lease_ttl", did you mean lease-ttl?
  ${FILE}:3:9: memory: "1kB" is too small: at least 32MiB
  ${FILE}:5:11: dbs[0].path: "data" is not absolute: begin the path with /
  ${FILE}:6:20: the environment variable NOT_SET is not set
  ${FILE}:7:5: dbs[1].path is missing`);
});

describe('databases among each other', () => {
  const two = (first: string, second: string) => {
    const entry = (text: string): string => {
      const [path, url] = text.split(' ');
      return `  - {path: ${path}, replica: {url: "${url}"}}\n`;
    };
    return `dbs:\n${entry(first)}${entry(second)}`;
  };
  const refused: [name: string, text: string, message: string][] = [
    ['same path', two('/a file:///x', '/a/ file:///y'), '3:12: dbs[1].path: /a is already dbs[0]'],
    [
      'same url',
      two('/a file:///x', '/b file:///x/'),
      '3:31: dbs[1].replica.url: file:///x/ is the same place as that of dbs[0]: give each database a prefix of its own',
    ],
    [
      'prefix inside',
      two('/a s3://bkt/p', '/b s3://bkt/p/q?region=x'),
      '3:31: dbs[1].replica.url: s3://bkt/p/q?region=x lies in the same prefix as that of dbs[0]: give each database a prefix of its own',
    ],
    [
      'prefix around',
      two('/a s3://bkt/p/q', '/b s3://bkt'),
      '3:31: dbs[1].replica.url: s3://bkt lies in the same prefix as that of dbs[0]: give each database a prefix of its own',
    ],
    [
      'destination inside a source',
      two('/a file:///x', '/b file:///a/backup'),
      '3:31: dbs[1].replica.url: file:///a/backup lies inside the database /a',
    ],
  ];
  test.each(refused)('%s', async (_name, text, message) => {
    expect(await messageOf(text)).toBe(`${FILE}:${message}`);
  });

  test('all destinations of all databases are compared', async () => {
    const dbs = `dbs:
  - path: /a
    replicas:
      - url: s3://bkt/a
      - url: file:///x/a
      - url: s3://bkt/a/
  - path: /b
    replicas:
      - url: file:///x
`;
    expect(await messageOf(dbs)).toBe(`2 problems in the configuration
  ${FILE}:6:14: dbs[0].replicas[2].url: s3://bkt/a/ is the same place as that of dbs[0].replicas[0]: give each database a prefix of its own
  ${FILE}:9:14: dbs[1].replicas[0].url: file:///x lies in the same prefix as that of dbs[0].replicas[1]: give each database a prefix of its own`);
  });

  test('a server and one of its databases may have destinations of their own', async () => {
    expect((await load(two('/a file:///x', '/a/replicas/1 file:///y'))).dbs).toHaveLength(2);
  });

  const accepted: [name: string, text: string][] = [
    ['prefixes that only begin alike', two('/a s3://bkt/p1', '/b s3://bkt/p10')],
    ['the same prefix of two buckets', two('/a s3://bkt/p', '/b s3://bucket2/p')],
    [
      'the same bucket name on two servers',
      two('/a s3://bkt/p?endpoint=http://one', '/b s3://bkt/p?endpoint=http://two'),
    ],
  ];
  test.each(accepted)('%s', async (_name, text) => {
    expect((await load(text)).dbs).toHaveLength(2);
  });

  test('a bad URL is told in the words of the store registry', async () => {
    expect(await messageOf('dbs: [{path: /a, replica: {url: "ftp://x/y"}}]')).toMatch(
      /^\/etc\/c\.yml:1:33: dbs\[0\]\.replica\.url: .*ftp/,
    );
  });
});

describe('precedence', () => {
  const text = `memory: 64MiB\nlog: {level: warn}\n${DBS}`;

  test('flag over environment over file over default', async () => {
    const env = { STDB_REPLICATE_MEMORY: '128MiB', STDB_REPLICATE_LOG_LEVEL: 'error' };
    expect(await load(text)).toMatchObject({ memoryBytes: 64 * 2 ** 20, log: { level: 'warn', format: 'auto' } });
    expect(await load(text, { env })).toMatchObject({ memoryBytes: 128 * 2 ** 20, log: { level: 'error' } });
    expect(await load(text, { env, flags: { memory: '256MiB', 'log-level': 'debug' } })).toMatchObject({
      memoryBytes: 256 * 2 ** 20,
      log: { level: 'debug', format: 'auto' },
    });
  });

  test('the origin of each value is kept', async () => {
    const { origins } = await loadConfigWithOrigins({
      path: FILE,
      env: { STDB_REPLICATE_OWNER: 'x' },
      flags: { 'log-level': 'debug' },
      readFile: () => Promise.resolve(text),
    });
    expect(Object.fromEntries(origins)).toMatchObject({
      addr: 'default',
      owner: 'environment',
      memory: 'file',
      'log.level': 'flag',
      'log.format': 'default',
      dbs: 'file',
    });
  });

  test('numbers come as text from the environment', async () => {
    expect(await load(DBS, { env: { STDB_REPLICATE_TAKEOVER: 'true' } })).toMatchObject({ takeover: true });
    expect(await load(DBS, { env: { STDB_REPLICATE_COMPRESSION_LEVEL: '3' } })).toMatchObject({ compressionLevel: 3 });
    expect(await load(`compression-level: \${L}\n${DBS}`, { env: { L: '7' } })).toMatchObject({ compressionLevel: 7 });
    expect(await load(`owner: \${L}\n${DBS}`, { env: { L: '7' } })).toMatchObject({ owner: '7' });
  });

  test('problems name the variable or the flag', async () => {
    expect(await messageOf(DBS, { env: { STDB_REPLICATE_MEMORY: 'much' } })).toBe(
      'environment variable STDB_REPLICATE_MEMORY: "much" is no size: write 8MiB, 96MB or 1GiB',
    );
    expect(await messageOf(DBS, { flags: { 'log-level': 'loud' } })).toBe(
      '-log-level: "loud" is none of debug, info, warn, error',
    );
  });

  test('what Kubernetes puts into the environment for a Service, and empty variables, are let be', async () => {
    const env = {
      STDB_REPLICATE_PORT: 'tcp://10.0.0.1:9090',
      STDB_REPLICATE_SERVICE_HOST: '10.0.0.1',
      STDB_REPLICATE_OWNER: '',
    };
    expect(await load(DBS, { env })).toEqual(await load(DBS));
  });

  test('the pod is the owner where none is named', async () => {
    expect(await load(DBS, { env: { POD_NAME: 'game-0' } })).toMatchObject({ owner: 'game-0' });
    expect(await load(`owner: mine\n${DBS}`, { env: { POD_NAME: 'game-0' } })).toMatchObject({ owner: 'mine' });
  });

  test('databases from the arguments need no file', async () => {
    const dbs = [{ path: '/a', replicas: [{ url: 'file:///b' }, { url: 's3://bkt/p' }] }];
    expect(await loadConfig({ path: null, env: {}, dbs })).toMatchObject({ dbs, leaseTtlMs: 60_000 });
    await expect(
      loadConfig({ path: null, env: {}, dbs: [{ path: '/a', replicas: [{ url: 'file:///a/b' }] }] }),
    ).rejects.toThrow('DB_DIR URL: file:///a/b lies inside the database /a');
  });
});

describe('files that cannot be read', () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));

  test('absent', async () => {
    expect(await messageOf('', { readFile: failing('ENOENT') })).toBe(`there is no configuration file ${FILE}`);
  });

  test('a directory', async () => {
    expect(await messageOf('', { readFile: failing('EISDIR') })).toBe(
      `${FILE} is a directory, not a configuration file`,
    );
  });

  test('no permission is no matter of configuration', async () => {
    await expect(load('', { readFile: failing('EACCES') })).rejects.toBeInstanceOf(LocalFileError);
  });

  test('something huge', async () => {
    expect(await messageOf('#'.repeat(2 ** 20 + 1))).toBe(`${FILE} is longer than a configuration can be (1 MiB)`);
  });
});

test('variables expand in text anywhere, $${ is a literal ${', async () => {
  const text = 'dbs: [{path: "/stdb/${DB}/$${x}", replica: {url: "file:///backup/${DB}"}}]';
  expect((await load(text, { env: { DB: 'one' } })).dbs).toEqual([
    { path: '/stdb/one/${x}', replicas: [{ url: 'file:///backup/one' }], extraFiles: [] },
  ]);
});
