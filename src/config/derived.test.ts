/**
 * Invariant: everything that tells people about options comes from their declarations: each option has its words, the
 * example parses strictly, the JSON Schema file is the one that the program prints, what is printed is read again.
 */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { declaredOptions, formatOptionPath } from './declared.ts';
import { formatExample, formatReference } from './example.ts';
import { configJsonSchema } from './json-schema.ts';
import { loadConfig, loadConfigWithOrigins } from './load.ts';
import { formatConfig } from './print.ts';

const atRoot = (name: string): Promise<string> => readFile(new URL(`../../${name}`, import.meta.url), 'utf8');
const read = (text: string, env: Record<string, string> = {}) =>
  loadConfig({ path: 'c.yml', env, readFile: () => Promise.resolve(text) });

test('every option has a description, and an example or a default', () => {
  for (const { facts, kind, defaultValue, path } of declaredOptions) {
    expect(facts.description, formatOptionPath(path)).toMatch(/^[A-Z].*\.$/);
    if (kind !== 'section' && kind !== 'list') expect(facts.example ?? defaultValue).toBeDefined();
  }
});

test('the options of this release', () => {
  expect(declaredOptions.map(({ path }) => formatOptionPath(path))).toEqual([
    'addr',
    'owner',
    'takeover',
    'lease-ttl',
    'shutdown-timeout',
    'memory',
    'compression-level',
    'request-timeout',
    'log',
    'log.level',
    'log.format',
    'levels',
    'levels[].interval',
    'drill',
    'drill.every',
    'drill.exec',
    'drill.exec-timeout',
    'drill.scratch',
    'dbs',
    'dbs[].path',
    'dbs[].replica',
    'dbs[].replica.url',
    'dbs[].replicas',
    'dbs[].replicas[].url',
    'dbs[].extra-files',
  ]);
});

describe('replicate.yml.example', () => {
  test('is made from the declarations', async () => {
    expect(await atRoot('replicate.yml.example')).toBe(formatExample());
  });

  test('parses strictly, as it is and with the optional keys, which it all holds', async () => {
    const text = formatExample();
    expect(await read(text)).toEqual(await read(text.replace(/^(levels|memory):.*\n( .*\n)*/gm, '')));
    const whole = text.replaceAll(/^# (addr: |owner: |drill:| {2}(?:every|exec|exec-timeout|scratch): )/gm, '$1');
    expect(await read(whole)).toMatchObject({ addr: { port: 9090 }, owner: 'game-0' });
    expect(Object.keys(parse(whole) as object)).toEqual(
      declaredOptions.filter(({ path }) => path.length === 1).map(({ path }) => path[0]),
    );
    // The two ways to give destinations exclude each other.
    const several = text
      .replace(/^ {4}replica:\n( {6}.*\n)+/m, '')
      .replaceAll(/^ {4}# (?=replicas:| {2,4}(- )?url:|extra-files:)/gm, '    ');
    expect((await read(several)).dbs).toEqual([
      {
        path: '/stdb/data',
        replicas: [{ url: 'file:///backup/game-0' }],
        extraFiles: ['/etc/spacetimedb/id_ecdsa', '/etc/spacetimedb/id_ecdsa.pub'],
      },
    ]);
  });
});

describe('JSON Schema', () => {
  test('the file is what the program prints', async () => {
    expect(JSON.parse(await atRoot('config/replicate.schema.json'))).toEqual(configJsonSchema());
  });

  test('is strict and has the words and bounds of the declarations', () => {
    expect(configJsonSchema()).toMatchObject({
      required: ['dbs'],
      additionalProperties: false,
      properties: {
        'lease-ttl': { type: 'string', default: '60s', description: expect.stringContaining('takes over') as string },
        'compression-level': { type: 'integer', minimum: 1, maximum: 19, default: 1 },
        levels: { minItems: 1, maxItems: 1 },
        log: { additionalProperties: false, properties: { level: { enum: ['debug', 'info', 'warn', 'error'] } } },
        dbs: {
          items: {
            additionalProperties: false,
            required: ['path'],
            oneOf: [{ required: ['replica'] }, { required: ['replicas'] }],
          },
        },
      },
    });
  });
});

test('the reference has a row for every option that holds a value', () => {
  const rows = formatReference().trim().split('\n').slice(2);
  expect(rows).toHaveLength(declaredOptions.filter(({ kind }) => kind !== 'section' && kind !== 'list').length);
  expect(rows).toContainEqual(
    expect.stringMatching(/^\| `memory` \| `96MiB` \| `STDB_REPLICATE_MEMORY`, `-memory` \| The byte budget/) as string,
  );
});

describe('config print', () => {
  const text = `addr: "[::1]:9090"
owner: "yes: \${A} $\${B} # no"
log: {level: debug}
drill: {every: 36h, exec: 'test -d "$STDB_DRILL_DIR"', scratch: /scratch dir}
dbs:
  - {path: /a, replica: {url: "s3://bkt/p?region=x"}}
  - path: "/with space"
    replicas: [{url: "file:///c"}, {url: "file:///d"}]
    extra-files: ["/keys/a b", /keys/c]
`;
  const env = { A: '1' };

  test('is read again to the same', async () => {
    const config = await read(text, env);
    expect(await read(formatConfig(config), env)).toEqual(config);
    const { origins } = await loadConfigWithOrigins({ path: 'c', env, readFile: () => Promise.resolve(text) });
    const printed = formatConfig(config, { origins });
    expect(await read(printed, env)).toEqual(config);
    expect(printed).toMatch(/^lease-ttl: 1m +# default$/m);
    expect(printed).toMatch(/^ {2}level: debug +# file$/m);
  });

  test('shows no secret of a URL', async () => {
    const config = await read('dbs: [{path: /a, replica: {url: "s3://bkt/p"}}]');
    const url = 's3://AKIAEXAMPLE:hunter2@bkt/p?secretAccessKey=hunter2';
    expect(formatConfig({ ...config, dbs: [{ path: '/a', replicas: [{ url }], extraFiles: [] }] })).not.toContain(
      'hunter2',
    );
  });
});
