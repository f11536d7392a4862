/**
 * Invariants of the systemd unit: systemd takes it without a word; it exposes little; it may read what the server makes
 * readable for itself alone; it does not start again what only a human can mend; it has time for the last sync.
 */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { EXIT } from '../../src/core/errors.ts';
import { testNeeding } from '../support/named-skip.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { readProjectFile } from '../tidy/repository.ts';

const TEXT = readProjectFile('config/systemd/stdb-replicate.service');
/** In tenths, of 100; up to 49 is what systemd calls OK. */
const EXPOSURE_MAX = 16;

/** What a key was last set to. */
const setting = (name: string): string | undefined =>
  [...TEXT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].at(-1)?.[1];

test('what only a human can mend is not started again', () => {
  expect(setting('Restart')).toBe('on-failure');
  expect(setting('RestartPreventExitStatus')?.split(' ').map(Number)).toEqual([
    EXIT.usage,
    EXIT.leaseHeld,
    EXIT.fenced,
  ]);
});

test('the last sync has its time, and comes after the server’s end', async () => {
  const { shutdownTimeoutMs } = await loadConfig({
    path: null,
    env: {},
    dbs: [{ path: '/db', replicas: [{ url: 's3://bucket/prefix' }] }],
  });
  expect(Number(/^(\d+)s$/.exec(setting('TimeoutStopSec') ?? '')?.[1])).toBeGreaterThan(shutdownTimeoutMs / 1000 + 10);
  expect(setting('Before')).toBe('spacetimedb.service');
});

test('it is the server’s user, whose compressed segments nobody else may read, and who cannot write here', () => {
  expect(setting('User')).toBe('spacetimedb');
  expect(setting('DynamicUser')).toBeUndefined();
  expect(setting('ProtectSystem')).toBe('strict');
  expect(setting('ReadOnlyPaths')).toBe('-/var/lib/spacetimedb');
  expect(setting('ReadWritePaths')).toBeUndefined();
});

test('the processes of others can be seen, whose death it may have to prove', () => {
  expect(setting('ProtectProc')).toBeUndefined();
  expect(setting('ProcSubset')).toBeUndefined();
});

function analyze(...args: string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, said: `${stdout ?? ''}${stderr ?? ''}` };
}

const analyzing = testNeeding({
  missing: analyze('--version').status === 0 ? null : 'systemd-analyze is not on PATH',
});

/** The unit with a program that is there on any machine. */
async function judged(
  text: string,
  ...args: string[]
): Promise<{ readonly status: number | null; readonly said: string }> {
  await using place = await temporaryDirectory();
  const path = place.at('stdb-replicate.service');
  await writeFile(path, text.replace('/usr/local/bin/stdb-replicate', '/bin/true'));
  return analyze(...args, path);
}

analyzing('systemd takes it, and would not take another', async () => {
  expect(await judged(TEXT, 'verify')).toEqual({ status: 0, said: '' });
  const planted = await judged(TEXT.replace('PrivateTmp=', 'PrivateTemp='), 'verify');
  expect(planted.said).toMatch(/PrivateTemp/);
});

analyzing('it exposes little, and what exposes more is seen', async () => {
  const threshold = ['security', '--offline=true', `--threshold=${EXPOSURE_MAX}`];
  const { status, said } = await judged(TEXT, ...threshold);
  expect(status, said).toBe(0);
  expect(
    (
      await judged(
        TEXT.replaceAll(/^(CapabilityBoundingSet|RestrictNamespaces|SystemCallFilter)=.*$/gm, ''),
        ...threshold,
      )
    ).status,
  ).not.toBe(0);
});
