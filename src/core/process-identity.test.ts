// Invariant: death is proven or it is not; a process that may live is never called dead.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { testNeeding } from '../../test/support/named-skip.ts';
import { isProvenDead, type ProcessIdentity, readProcessIdentity } from './process-identity.ts';

const self = await readProcessIdentity();

describe('proof of death', () => {
  test('of a process that lives: none', async () => {
    expect(await isProvenDead(self, self)).toBe(false);
  });

  test('of one whose pid nobody has, or somebody else', async () => {
    const child = spawn('true');
    await once(child, 'exit');
    expect(await isProvenDead({ ...self, pid: child.pid ?? 0 }, self)).toBe(true);
    expect(await isProvenDead({ ...self, startTime: '1' }, self)).toBe(true);
  });

  test.each<[string, Partial<ProcessIdentity>]>([
    ['an unknown boot', { bootId: null }],
    ['another boot of an unknown machine', { bootId: 'other', machineId: null }],
    ['another boot of another machine', { bootId: 'other', machineId: 'other' }],
    ['another pid namespace', { pidNamespace: '1' }],
    ['an unknown pid namespace', { pidNamespace: null }],
    ['an unknown start', { startTime: null, pid: 2 ** 22 + 1 }],
  ])('of one of %s: none', async (_what, facts) => {
    expect(await isProvenDead({ ...self, ...facts }, self)).toBe(false);
  });

  test('of one of another boot of the same machine', async () => {
    expect(await isProvenDead({ ...self, machineId: 'm', bootId: 'other' }, { ...self, machineId: 'm' })).toBe(true);
  });
});

const MODULE = JSON.stringify(fileURLToPath(new URL('process-identity.ts', import.meta.url)));

/** The words of another user in whose /proc our own processes are hidden. */
function hiddenFromOthers(script: string): { status: number | null; said: string } {
  const hidden =
    'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"';
  const command = [process.execPath, '--input-type=module', '-e', script];
  const { status, stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', hidden, 'sh', ...command], {
    encoding: 'utf8',
  });
  return { status, said: `${stdout ?? ''}${stderr ?? ''}` };
}

function whyNotHidden(): string | null {
  if (process.getuid?.() !== 0) return 'only root may mount a /proc that hides processes';
  const { status, said } = hiddenFromOthers(`await import(${MODULE})`);
  return status === 0 ? null : `no /proc that hides processes can be mounted here: ${said.trim()}`;
}

testNeeding({ missing: whyNotHidden() })('a process that /proc hides is not dead', () => {
  const { status, said } = hiddenFromOthers(`
    const { isProvenDead } = await import(${MODULE});
    const { access } = await import('node:fs/promises');
    const self = ${JSON.stringify(self)};
    const isHidden = await access('/proc/${self.pid}/stat').then(() => false, () => true);
    console.log(isHidden, await isProvenDead(self, self), await isProvenDead({ ...self, pid: 4194305 }, self));
  `);
  expect(said).toBe('true false true\n');
  expect(status).toBe(0);
});
