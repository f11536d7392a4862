/**
 * Invariants of `docker/compose.yml`: what it refers to is there; nobody who touches the data is root; replicate cannot
 * write it; everything waits for what it needs; the only keys in the repository are those of the example, which say what
 * they are; its configuration is one that the program takes. Where Docker's compose is at hand, it takes the file as well.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { testNeeding } from '../support/named-skip.ts';
import { ROOT, readProjectFile } from '../tidy/repository.ts';

interface ComposeService {
  readonly image: string;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly stop_signal?: string;
  readonly stop_grace_period?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const FILE = 'docker/compose.yml';
const { services, volumes } = parse(readProjectFile(FILE), { merge: true }) as Compose;
const service = (name: string): ComposeService => {
  const found = services[name];
  if (found === undefined) throw new Error(`there is no service ${name}`);
  return found;
};

const EXAMPLE = Object.fromEntries(
  readProjectFile('docker/.env.example')
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
);

/** As compose does it: `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
const expand = (text: string): string =>
  text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest?: string) => {
    const value = EXAMPLE[name];
    if (value !== undefined) return value;
    if (kind !== '-') throw new Error(`${name} is not set by .env.example`);
    return rest ?? '';
  });

describe('services', () => {
  test('are a server, an S3 server, replicate, and a restore that only comes when it is asked for', () => {
    expect(Object.keys(services).sort()).toEqual(['prepare', 'replicate', 'restore', 's3', 'server']);
    expect(Object.keys(services).filter((name) => service(name).profiles !== undefined)).toEqual(['restore']);
    expect(service('restore').profiles).toEqual(['restore']);
  });

  test('refer to volumes, files and services that are there', () => {
    const sources = Object.values(services).flatMap(({ volumes: mounts = [] }) =>
      mounts.map((mount) => mount.split(':')[0] ?? ''),
    );
    const files = sources.filter((source) => source.startsWith('.'));
    expect(files.filter((path) => !existsSync(join(ROOT, 'docker', path)))).toEqual([]);
    expect(new Set(sources.filter((source) => !source.startsWith('.')))).toEqual(new Set(Object.keys(volumes)));
    for (const { depends_on = {} } of Object.values(services)) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        // One that is waited for until it is healthy says how.
        if (condition === 'service_healthy') expect(service(name).healthcheck?.test).toBeDefined();
        else expect(['service_completed_successfully', 'service_started']).toContain(condition);
      }
    }
  });

  test('wait for the volumes to belong to them, and a restore for its store', () => {
    for (const name of ['server', 'replicate', 'restore']) {
      expect(service(name).depends_on).toHaveProperty('prepare.condition', 'service_completed_successfully');
    }
    expect(service('restore').depends_on).toHaveProperty('s3.condition', 'service_healthy');
  });

  test('replicate ends after the server, and neither it nor the store keeps the server from starting', () => {
    // Who depends on another is stopped before it.
    expect(service('server').depends_on).toHaveProperty('replicate.condition', 'service_started');
    expect(service('replicate').depends_on).toHaveProperty('s3.condition', 'service_started');
  });

  test.each(['server', 'replicate', 'restore'])('%s is nobody, with a root that cannot be written', (name) => {
    expect(service(name)).toMatchObject({
      user: '1000:1000',
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    expect(service(name).cap_add).toBeUndefined();
  });

  test('replicate only reads the data; the server and restore write it, at the same place', () => {
    const dataOf = (name: string) => service(name).volumes?.filter((mount) => mount.startsWith('data:'));
    expect(dataOf('replicate')).toEqual(['data:/stdb/data:ro']);
    for (const name of ['server', 'restore', 'prepare']) expect(dataOf(name)).toEqual(['data:/stdb/data']);
    expect(service('server').command).toContain('--data-dir=/stdb/data');
    expect(service('restore').command).toEqual(['restore', '-if-db-not-exists', '/stdb/data']);
  });

  test('have versions, unless they are built here, and are reached from this machine alone', () => {
    const images = Object.values(services).map(({ image }) => expand(image));
    expect(images.filter((image) => image !== 'stdb-replicate' && !/:v\d+\.\d+\.\d+$/.test(image))).toEqual([]);
    const ports = Object.values(services).flatMap(({ ports: published = [] }) => published);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('the server is asked to end as it understands it', () => {
    expect(service('server').stop_signal).toBe('SIGINT');
  });
});

test('no key stands in it, and those of the example say what they are', () => {
  expect(readProjectFile(FILE)).not.toMatch(/(KEY|SECRET)\w*: (?!\$\{S3_(ACCESS|SECRET)_KEY:\?)/);
  for (const name of ['S3_ACCESS_KEY', 'S3_SECRET_KEY']) expect(EXAMPLE[name]).toMatch(/^demo-only-/);
  expect(readProjectFile('.gitignore').split('\n')).toContain('/docker/.env');
});

test('its configuration is one that the program takes, and ends within the grace period', async () => {
  const env = Object.fromEntries(
    Object.entries(service('replicate').environment ?? {}).map(([name, value]) => [name, expand(value)]),
  );
  const config = await loadConfig({ path: join(ROOT, 'docker/replicate.yml'), env });
  expect(config).toMatchObject({
    owner: 'game-0',
    addr: { host: '0.0.0.0', port: 9090 },
    dbs: [{ path: '/stdb/data', replicas: [{ url: env['BACKUP_URL'] }] }],
  });
  const grace = Number(/^(\d+)s$/.exec(service('replicate').stop_grace_period ?? '')?.[1]);
  expect(grace).toBeGreaterThanOrEqual(config.shutdownTimeoutMs / 1000 + 10);
  // The bucket of the URL is the directory that is mounted into the S3 server.
  const bucket = new URL(env['BACKUP_URL'] ?? '').host;
  expect(service('s3').volumes).toEqual([`backups:/data/${bucket}`]);
});

const compose = (...args: string[]) =>
  spawnSync('docker', ['compose', '-f', FILE, '--env-file', 'docker/.env.example', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
  });
const composeMissing = spawnSync('docker', ['compose', 'version']).status === 0 ? null : 'Docker has no compose here';

testNeeding({ missing: composeMissing })('Docker’s compose takes it', () => {
  const { status, stdout, stderr } = compose('--profile', 'restore', 'config', '--services');
  expect(status, stderr).toBe(0);
  expect(stdout.trim().split('\n').sort()).toEqual(Object.keys(services).sort());
});
