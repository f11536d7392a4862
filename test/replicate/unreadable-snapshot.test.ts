// Invariant: a snapshot that cannot be read, be it damaged, on a bad sector, or forbidden, and a directory of them that
// cannot be listed, do not keep the log from being stored; that is told, and made good once it can be read.
import { describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { silentLog } from '../../src/core/log.ts';
import { judgeHealth } from '../../src/observe/health.ts';
import type { Replicator } from '../../src/replicate/replicator.ts';
import { FaultyFiles, type SourceCall, type SystemCode } from '../support/faulty-files.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';

test('the file of the newest snapshot cannot be read', async () => {
  await using scene = await ReplicatorScene.open();
  const files = new FaultyFiles(diskFiles, {
    fails: (_, call, path) => (call === 'file.read' && path.endsWith('180.snapshot_bsatn') ? 'EIO' : null),
  });
  const one = await scene.replicator({ files });
  await expect(one.run(new AbortController().signal)).rejects.toThrow('EIO');
  expect((await scene.logObjects()).at(-1)?.last).toBe(299n);
});

const hasty: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms, 3), options) };

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(2);
}

/** Calls on the snapshots fail while `isBroken`. */
async function withSnapshotsFailing(
  { code, calls, isBroken: atFirst = true }: { code: SystemCode; calls: readonly SourceCall[]; isBroken?: boolean },
  act: (one: Replicator, turn: (isBroken: boolean) => void, said: readonly string[]) => Promise<void>,
  scene: ReplicatorScene,
): Promise<void> {
  let isBroken = atFirst;
  const files = new FaultyFiles(diskFiles, {
    fails: (_, call, path) => (isBroken && path.includes('snapshots') && calls.includes(call) ? code : null),
  });
  const said: string[] = [];
  const log = {
    ...silentLog,
    warn: (text: string) => void said.push(text),
    error: (text: string) => void said.push(text),
  };
  const one = await scene.replicator({ once: false, files, clock: hasty, log });
  const running = one.run(new AbortController().signal);
  running.catch(() => undefined);
  await act(one, (broken) => (isBroken = broken), said);
  one.drain();
  await running;
}

describe.each(['EACCES', 'EIO', 'ENOSPC'] as const)('%s', (code) => {
  test.each([
    ['of listing snapshots', ['list']],
    ['of looking at them', ['facts']],
    ['of opening their files', ['open']],
    ['of reading their files', ['file.read']],
  ] as const)('%s: the log is stored all the same, in one episode, and the newest snapshot later', async (_, calls) => {
    await using scene = await ReplicatorScene.open();
    await withSnapshotsFailing(
      { code, calls },
      async (one, turn, said) => {
        await until(() => one.status().stored?.tx === 299n && one.status().snapshotProblem !== null);
        expect(judgeHealth([one.status()])).toMatchObject({ ready: true, health: 'degraded' });
        expect(one.status().lastError).toBeNull();
        expect(said.join('\n')).toContain(code);
        turn(false);
        await until(() => one.status().newestSnapshot === 180n && one.status().snapshotProblem === null);
        expect(judgeHealth([one.status()])).toMatchObject({ health: 'ok' });
        expect(one.status().generationsBegun).toEqual({ first: 1 });
      },
      scene,
    );
  });
});

test('regression: a directory of snapshots that cannot be listed any more ends no episode', async () => {
  await using scene = await ReplicatorScene.open();
  await withSnapshotsFailing(
    { code: 'EACCES', calls: ['list'], isBroken: false },
    async (one, turn, said) => {
      await until(() => one.status().newestSnapshot === 180n);
      turn(true);
      await until(() => one.status().snapshotProblem !== null);
      expect(one.status()).toMatchObject({ state: 'streaming', lastError: null });
      expect(said.filter((text) => text.startsWith('no snapshot can be backed up'))).toHaveLength(1);
      turn(false);
      await until(() => one.status().snapshotProblem === null);
    },
    scene,
  );
});

test('a log that begins above 0 waits, says what it cannot read, and goes on when it can', async () => {
  await using scene = await ReplicatorScene.open('v2-damaged/prefix-pruned');
  await withSnapshotsFailing(
    { code: 'EACCES', calls: ['list'] },
    async (one, turn, said) => {
      await until(() => said.length > 0);
      expect(said[0]).toMatch(/whether a snapshot stands there is not known: .*EACCES/);
      expect(await scene.keys()).toEqual([]);
      turn(false);
      await until(() => one.status().stored?.tx === 119n && one.status().newestSnapshot !== null);
    },
    scene,
  );
});

test('in one pass all else is stored, and the failure is the pass’s', async () => {
  await using scene = await ReplicatorScene.open();
  const files = new FaultyFiles(diskFiles, {
    fails: (_, call, path) => (call === 'list' && path.endsWith('snapshots') ? 'EACCES' : null),
  });
  await scene.runOnceFailing('LOCAL_FILE', { files });
  expect((await scene.logObjects()).at(-1)?.last).toBe(299n);
  expect((await scene.head()).released).toBe(true);
});
