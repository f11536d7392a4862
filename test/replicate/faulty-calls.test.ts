// Invariant: whatever is asked of the source, and of which of its files, may fail for a while, with whatever cause an
// operator or a machine brings about: it is asked again, all is stored in one generation, and no file is left open.
import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { restore } from '../../src/restore/restore.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { FaultyFiles, type FaultyFilesOptions, type SourceCall } from '../support/faulty-files.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';
import { makeTinyReplica, TINY_SNAPSHOT } from '../support/tiny-replica.ts';

const hasty: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms, 2), options) };
const never = new AbortController().signal;

async function survive(options: FaultyFilesOptions): Promise<FaultyFiles> {
  await using scene = await ReplicatorScene.open();
  await rm(scene.database, { recursive: true });
  await makeTinyReplica(scene.database);
  const files = new FaultyFiles(diskFiles, options);
  const one = await scene.replicator({ once: false, files, clock: hasty, intervalMs: 5 });
  const running = one.run(never);
  running.catch(() => undefined);
  while (one.status().newestSnapshot !== TINY_SNAPSHOT || one.status().stored?.tx !== 6n) {
    if (one.status().state === 'stopped') await running;
    await systemClock.sleep(2);
  }
  expect(one.status().generationsBegun).toEqual({ first: 1 });
  one.drain();
  await running;
  expect(files.openFiles).toBe(0);
  const { client } = scene;
  const budget = new ByteBudget(16 * 1024 * 1024);
  const target = scene.beside('restored');
  await restore({ client, target, budget, clock: systemClock, log: silentLog, signal: never });
  expect((await compareRestored(await readDatabase(scene.database), target)).differences).toEqual([]);
  return files;
}

/** Each kind of call that a run makes, by what it is asked of. */
const CALLS: readonly (readonly [what: string, call: SourceCall, of: RegExp])[] = [
  ['listing the log', 'list', /clog$/],
  ['looking at a segment', 'facts', /\.stdb\.log$/],
  ['opening a segment', 'open', /\.stdb\.log$/],
  ['looking at an open segment', 'file.facts', /\.stdb\.log$/],
  ['reading a segment', 'file.read', /\.stdb\.log$/],
  ['closing a segment', 'file.close', /\.stdb\.log$/],
  ['opening an offset index', 'open', /\.stdb\.ofs$/],
  ['listing the snapshots', 'list', /snapshots$/],
  ['looking at a snapshot', 'facts', /\.snapshot_dir$/],
  ['looking for its lock', 'facts', /snapshots\/\d+\.lock$/],
  ['looking at its file', 'facts', /\.snapshot_bsatn$/],
  ['opening its file', 'open', /\.snapshot_bsatn$/],
  ['looking at its open file', 'file.facts', /\.snapshot_bsatn$/],
  ['reading its file', 'file.read', /\.snapshot_bsatn$/],
  ['closing its file', 'file.close', /\.snapshot_bsatn$/],
  ['opening an object', 'open', /\/objects\//],
  ['looking at an open object', 'file.facts', /\/objects\//],
  ['reading an object', 'file.read', /\/objects\//],
  ['closing an object', 'file.close', /\/objects\//],
];

describe.each(CALLS)('%s fails twice', (_, failing, of) => {
  test.each(['EACCES', 'EMFILE', 'ENOSPC', 'EIO'] as const)('with %s', async (code) => {
    let left = 2;
    const isStruck = (call: SourceCall, path: string): boolean => call === failing && of.test(path) && left-- > 0;
    const files = await survive({ fails: (_number, call, path) => (isStruck(call, path) ? code : null) });
    // An offset index is a hint: one that a disk does not give is not asked for again.
    expect(files.struck).toBe(of.source.includes('ofs') && code === 'EIO' ? 1 : 2);
  });
});
