/**
 * Invariant: the image runs as nobody, from a read-only root, with production dependencies, and says when it is ill.
 * Each promise of the lint is also broken on purpose. Where an engine answers and has the base, the image is built and
 * run.
 */
import { describe, expect, test } from 'vitest';
import { testNeeding } from '../support/named-skip.ts';
import { readProjectFile } from '../tidy/repository.ts';
import { BASE, buildImage, docker, whyNotRun } from './engine.ts';
import { FINDINGS, lintDockerfile } from './lint.ts';

const TEXT = readProjectFile('docker/Dockerfile');

test('the Dockerfile keeps every promise', () => {
  expect(lintDockerfile(TEXT)).toEqual([]);
});

const BROKEN: readonly (readonly [finding: string, from: RegExp, to: string])[] = [
  ['a syntax line makes the builder pull an image', /^/, '# syntax=docker/dockerfile:1\n'],
  [
    'the base is an argument with node:24-bookworm-slim as its default',
    /BASE=node:24-bookworm-slim/,
    'BASE=node:latest',
  ],
  ['every stage begins at the base', /\$\{BASE\}\n/, 'node:latest\n'],
  ['building and running are separate stages', /^[^]*(FROM \$\{BASE\}\n)/, '$1'],
  ['packages come from the lock file alone', /RUN npm ci\n/, 'RUN npm install\n'],
  ['modules of the image are production dependencies', /npm ci --omit=dev/, 'npm ci'],
  ['the last stage runs nothing', /STOPSIGNAL/, 'RUN chmod 777 /app\nSTOPSIGNAL'],
  ['the last stage copies no whole context', /COPY package.json LICENSE/, 'COPY . /app\nCOPY LICENSE'],
  ['the user is a number, and not root', /65532:65532/, '0:0'],
  ['the user is a number, and not root', /65532:65532/, 'node'],
  ['the health check asks /livez, in exec form', /CMD \["node", "-e".*/, 'CMD node health.js'],
  ['the entry point is in exec form', /ENTRYPOINT .*/, 'ENTRYPOINT node dist/bin.js'],
  ['the command is in exec form', /CMD \["replicate"\]/, 'CMD replicate'],
  ['the image says what it is', /image\.licenses/, 'image.license'],
  ['no volume, secret or download', /STOPSIGNAL/, 'ENV API_TOKEN=1\nSTOPSIGNAL'],
];

describe('each promise, broken', () => {
  test.each(BROKEN)('%s', (finding, from, to) => {
    expect(lintDockerfile(TEXT.replace(from, to))).toContain(finding);
  });

  test('is every promise there is', () => {
    expect(new Set(BROKEN.map(([finding]) => finding))).toEqual(new Set(FINDINGS));
  });
});

test('the context holds no more than the image is made from', () => {
  const [first, ...rest] = readProjectFile('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(first).toBe('*');
  const letIn = rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const used = [...TEXT.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
  expect(new Set(letIn)).toEqual(new Set(used));
});

testNeeding({ missing: whyNotRun(BASE) })(
  'the image builds, and answers from a read-only root as nobody',
  () => {
    const tag = `stdb-replicate-test:${Date.now()}`;
    const built = buildImage(tag);
    expect(built.status, built.output.slice(-4000)).toBe(0);
    try {
      const options = ['--rm', '--read-only', '--network=none', '--cap-drop=ALL', '--security-opt=no-new-privileges'];
      const version = docker(['run', ...options, tag, 'version']);
      expect(version.status, version.output).toBe(0);
      const user = docker(['run', ...options, '--entrypoint=node', tag, '-p', 'process.getuid()']);
      expect(user.output.trim()).toBe('65532');
    } finally {
      docker(['image', 'rm', '--force', tag]);
    }
  },
  600_000,
);
