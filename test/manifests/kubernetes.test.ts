/**
 * Invariants of `config/kubernetes`: it is valid by Kubernetes' own schemas, with no field that they do not know; the pod
 * keeps its promises, each of which a check can see broken; the configuration in it is one that the program takes.
 *
 * STDB_TEST_KUBERNETES_VALIDATE names kubernetes-validate (from pip), which carries the schemas.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { testNeeding } from '../support/named-skip.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { ROOT, readProjectFile } from '../tidy/repository.ts';
import { BASE, EXAMPLE, filesNamedIn, kustomizeMissing, podIn, render, STATEFUL_SET } from './kubernetes.ts';
import { FINDINGS, lintPod } from './pod-promises.ts';

/** Of a cluster of today. */
const KUBERNETES = '1.36';
const TEXT = readProjectFile(STATEFUL_SET);
const VALIDATE = process.env['STDB_TEST_KUBERNETES_VALIDATE'] ?? '';
const ENVIRONMENT = { BACKUP_BUCKET: 'bucket', BACKUP_OPTIONS: 'region=eu-central-1', POD_NAME: 'game-stdb-0' };

const config = await loadConfig({ path: join(ROOT, BASE, 'replicate.yml'), env: ENVIRONMENT });
const facts = {
  shutdownTimeoutSeconds: config.shutdownTimeoutMs / 1000,
  database: config.dbs[0]?.path ?? '',
};

test('the configuration in it: the owner is the pod, the data is where the volume is', () => {
  expect(config.owner).toBe('game-stdb-0');
  expect(config.dbs).toMatchObject([
    { path: '/stdb/data', replicas: [{ url: 's3://bucket/game-stdb-0?region=eu-central-1' }] },
  ]);
  // Probes come from outside of the container.
  expect(config.addr).toEqual({ host: '0.0.0.0', port: 9090 });
});

test('the pod keeps every promise', () => {
  expect(lintPod(TEXT, facts)).toEqual([]);
});

const BROKEN: readonly (readonly [finding: string, from: RegExp | string, to: string])[] = [
  ['restore comes first, then replicate, then the server', '- name: restore', '- name: recover'],
  ['restore ends, and replicate stays beside the server', '          restartPolicy: Always\n', ''],
  ['restore leaves what is there, and begins where nothing was ever stored', '"-if-replica-exists", ', ''],
  ['replicate reads the data, restore and the server write it', /(\/stdb\/data\n) +readOnly: true\n/, '$1'],
  ['the pod is the owner of its backup', 'metadata.name', 'metadata.namespace'],
  ['a store that is away does not hold back or take away the server', 'path: /livez', 'path: /readyz'],
  ['probes ask ports that are declared', 'port: metrics', 'port: http'],
  ['the server is asked to end by SIGINT', 'kill -INT 1', 'kill -TERM 1'],
  ['the grace period holds the end of the server and then the last sync', /PeriodSeconds: 120/, 'PeriodSeconds: 60'],
  ['nobody is root, and the volume belongs to all of them', 'runAsNonRoot: true', 'runAsNonRoot: false'],
  ['no privilege, no capability, no writable root', 'drop: ["ALL"]', 'drop: ["NET_RAW"]'],
  ['no token of Kubernetes', 'automountServiceAccountToken: false', 'automountServiceAccountToken: true'],
  ['requests for all, and a limit of memory', /limits:\n +memory: 4Gi\n/, 'limits: {}\n'],
];

describe('each promise, broken', () => {
  test.each(BROKEN)('%s', (finding, from, to) => {
    const broken = TEXT.replace(from, to);
    expect(broken).not.toBe(TEXT);
    if (finding === FINDINGS[0]) expect(() => lintPod(broken, facts)).toThrow('no container restore');
    else expect(lintPod(broken, facts)).toContain(finding);
  });

  test('is every promise there is', () => {
    expect(new Set(BROKEN.map(([finding]) => finding))).toEqual(new Set(FINDINGS));
  });
});

test.each([BASE, EXAMPLE])('%s names what is there, and all that is there', (directory) => {
  const named = filesNamedIn(directory);
  expect(named.filter((path) => !existsSync(join(ROOT, normalize(`${directory}/${path}`))))).toEqual([]);
  const files = readdirSync(join(ROOT, directory)).filter((name) => name !== 'kustomization.yaml');
  expect(files.filter((name) => !named.includes(name))).toEqual([]);
});

function validate(path: string): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(VALIDATE, ['-k', KUBERNETES, '--strict', path], { encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

const validating = testNeeding({
  missing: VALIDATE === '' ? 'STDB_TEST_KUBERNETES_VALIDATE does not name kubernetes-validate (pip)' : kustomizeMissing,
});

describe('by Kubernetes’ schemas', () => {
  for (const directory of [BASE, EXAMPLE]) {
    validating(`${directory} is valid, to the last field`, async () => {
      await using place = await temporaryDirectory();
      const rendered = render(directory);
      await writeFile(place.at('all.yaml'), rendered);
      const { status, said } = validate(place.at('all.yaml'));
      expect(status, said).toBe(0);
      expect([...said.matchAll(/passed for resource (\w+)\//g)].map(([, kind = '']) => kind).toSorted()).toEqual([
        'configmap',
        'configmap',
        'service',
        'serviceaccount',
        'statefulset',
      ]);
    });
  }

  validating('and what is not is found', async () => {
    await using place = await temporaryDirectory();
    const rendered = render(EXAMPLE);
    const planted = [
      ['terminationGracePeriodSeconds:', 'terminationGracePeriod:'],
      ['containerPort: 9090', 'containerPort: "9090"'],
      ['readOnlyRootFilesystem:', 'readOnlyRootFileSystem:'],
    ] as const;
    for (const [from, to] of planted) {
      expect(rendered).toContain(from);
      await writeFile(place.at('planted.yaml'), rendered.replace(from, to));
      expect(validate(place.at('planted.yaml')).status, to).not.toBe(0);
    }
  });
});

testNeeding({ missing: kustomizeMissing })(
  'the example fills in names, images and volume, and keeps the promises',
  () => {
    const set = render(EXAMPLE)
      .split(/^---$/m)
      .find((text) => text.includes('kind: StatefulSet'));
    expect(set).toBeDefined();
    expect(lintPod(set ?? '', facts)).toEqual([]);
    const pod = podIn(set ?? '');
    const images = [...(pod.initContainers ?? []), ...pod.containers].map(({ image }) => image);
    expect(images.filter((image) => !/:v?\d+\.\d+\.\d+$/.test(image))).toEqual([]);
    expect(set).toMatch(/storageClassName: /);
  },
);
