// Invariant: death is proven or it is not; a process that may live is never called dead.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { testNeeding } from '../../test/support/named-skip.ts';
import { isProvenAlive, isProvenDead, type ProcessIdentity, readProcessIdentity } from './process-identity.ts';

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

  test('of one that was killed, and that its parent has not asked after', async () => {
    // What takes its parent's place has no children that it knows of.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const pid = Number(String((await once(parent.stdout, 'data'))[0]));
      const fields = async (): Promise<string[]> => {
        const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      };
      const child = { ...self, pid, startTime: (await fields())[19] ?? null };
      expect([await isProvenDead(child, self), await isProvenAlive(child, self)]).toEqual([false, true]);
      process.kill(pid, 'SIGKILL');
      await expect.poll(async () => (await fields())[0]).toBe('Z');
      expect([await isProvenDead(child, self), await isProvenAlive(child, self)]).toEqual([true, false]);
    } finally {
      parent.kill('SIGKILL');
    }
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
