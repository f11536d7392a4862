/**
 * Invariant: as process 1 of a container, for which the kernel drops every signal that has no handler, `-exec` passes
 * signals on, stores what is left and ends with the server's status.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { databaseBesideStore } from '../support/database-beside-store.ts';
import { testNeeding } from '../support/named-skip.ts';
import { PROGRAM } from '../support/program.ts';
import { readHead } from '../support/stored-log.ts';

const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

function whyNot(): string | null {
  const { status, stderr, error } = spawnSync('unshare', [...UNSHARE, 'true'], { encoding: 'utf8' });
  return status === 0 ? null : `no pid namespace can be made here: ${error?.message ?? stderr.trim()}`;
}

testNeeding({ missing: whyNot() })(
  'process 1 passes SIGTERM on, and ends as the server does',
  async () => {
    await using place = await databaseBesideStore();
    const cmd = place.at('server.sh');
    const script = ['#!/bin/sh', "trap 'echo ended; exit 3' TERM", 'echo serving', 'while :; do sleep 0.02; done', ''];
    await writeFile(cmd, script.join('\n'), { mode: 0o755 });
    const args = ['replicate', '-exec', cmd, place.database, place.url];
    const child = spawn('unshare', [...UNSHARE, process.execPath, PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close');
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    const says = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(said)) {
        if (child.exitCode !== null) throw new Error(`it ended without ${pattern}: ${said}`);
        await delay(20);
      }
    };
    try {
      await says(/serving/);
      await says(/snapshot stored/);
      // Seen from outside it has another pid.
      const inside = Number((await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim());
      process.kill(inside, 'SIGTERM');
      expect(await ended, said).toEqual([3, null]);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    expect(said).toMatch(/^ended$/m);
    expect(await readHead(place.store)).toMatchObject({ released: true, process: { pid: 1 }, position: { tx: '299' } });
  },
  60_000,
);
