/**
 * Invariant: a restored server data directory holds an image and every database that it lists, each exactly, or nothing
 * is there; what is left out is left out because somebody said so, and is said aloud.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readRecordedLog } from '../../../test/support/recorded-log.ts';
import { RestoreScene } from '../../../test/support/restore-scene.ts';
import { type ImageSample, programHash, ServerStoreBuilder } from '../../../test/support/server-store-builder.ts';
import { StoreBuilder } from '../../../test/support/store-builder.ts';
import { vectorDirectory } from '../../../test/vectors/vectors.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { systemClock } from '../../core/clock.ts';
import { CorruptionError, NoBackupError, TargetInUseError, UnrecoverablePointError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { crc32cValue } from '../../core/types.ts';
import { prefixedClient } from '../../replica/wrap/prefixed.ts';
import { databaseExists } from '../database-exists.ts';
import type { RestoreProgress } from '../restore-report.ts';
import { realTargetSystem } from '../target-system.ts';
import { readKind } from './read-server-store.ts';
import { restoreServer, type RestoreServerOptions } from './restore-server.ts';
import type { ServerRestoreReport } from './server-report.ts';

const SMALL = vectorDirectory('v2-small');
const BATCHED = vectorDirectory('v2-batched/v1');
const PROGRAM = 'a module in WebAssembly, say';

const sample = (time: bigint, replicas: readonly bigint[], name = 'metadata'): ImageSample => ({
  time,
  files: {
    'metadata.toml': { content: `version = "2.8.3" # ${name}` },
    'config.toml': { content: '[commitlog]' },
    'control-db/conf': { content: 'segment_size: 524288', mode: 0o640 },
    'control-db/db': { content: 'pages'.repeat(100) },
    'extra/id_ecdsa': { content: 'secret', mode: 0o600 },
  },
  directories: ['control-db', 'control-db/blobs'],
  programs: [PROGRAM],
  replicas,
});

let scene: RestoreScene;
let builder: ServerStoreBuilder;
beforeEach(async () => {
  scene = await RestoreScene.open();
  builder = new ServerStoreBuilder(scene.client);
  await builder.putFormat();
});
afterEach(() => scene[Symbol.asyncDispose]());

const run = (options: Partial<RestoreServerOptions> = {}): Promise<ServerRestoreReport> =>
  restoreServer({
    client: scene.client,
    clientAt: (prefix) => prefixedClient(scene.client, prefix),
    target: scene.target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    ...options,
  });

/** Two databases and one image. */
async function storeTwo(): Promise<void> {
  const generation = await builder.putGeneration(1);
  await builder.putReplica(1n, SMALL);
  await builder.putReplica(3n, BATCHED);
  await builder.putImage(generation, sample(1_000_000n, [1n, 3n]));
  await builder.putHead(generation);
}

const text = (path: string): Promise<string> => readFile(join(scene.target, path), 'utf8');
const modeOf = async (path: string): Promise<number> => (await stat(join(scene.target, path))).mode & 0o777;

async function expectLast(replica: string, segment: string): Promise<void> {
  expect(await readdir(join(scene.target, 'replicas', replica, 'clog'))).toContain(segment);
}

async function expectWhole(): Promise<void> {
  expect((await readdir(scene.target)).sort()).toEqual(
    ['config.toml', 'control-db', 'extra', 'metadata.toml', 'program-bytes', 'replicas'].sort(),
  );
  expect(await readdir(join(scene.target, 'replicas'))).toEqual(['1', '3']);
  await expectLast('1', '00000000000000000147.stdb.log');
  await expectLast('3', '00000000000000000089.stdb.log');
  expect(await text('metadata.toml')).toBe('version = "2.8.3" # metadata');
  expect(await text('control-db/db')).toBe('pages'.repeat(100));
  expect(await readdir(join(scene.target, 'control-db'))).toEqual(['blobs', 'conf', 'db']);
  const hash = programHash(PROGRAM);
  expect(await text(`program-bytes/${hash.slice(0, 2)}/${hash.slice(2)}`)).toBe(PROGRAM);
  expect(await readdir(scene.root)).toEqual(['target']);
}

describe('a whole server', () => {
  test('comes back with its databases, its files and their modes', async () => {
    await storeTwo();
    const progress: RestoreProgress[] = [];
    const report = await run({ progress: (now) => progress.push(now), ownership: { mode: 0o750 } });
    await expectWhole();
    expect(report).toMatchObject({ outcome: 'restored', missing: [], passedOver: [], warnings: [] });
    expect(report.image).toMatchObject({ files: 5, programs: 1, extraFiles: ['id_ecdsa'], time: 1_000_000n });
    expect(report.replicas.map(({ replicaId, position }) => [replicaId, position?.tx])).toEqual([
      [1n, 299n],
      [3n, 119n],
    ]);
    expect(report.fetchedBytes).toBeGreaterThan(10_000);
    const modes = [
      'control-db/conf',
      'extra/id_ecdsa',
      'metadata.toml',
      'extra',
      'replicas/1/clog',
      'control-db/blobs',
    ];
    expect(await Promise.all(modes.map(modeOf))).toEqual([0o640, 0o600, 0o644, 0o750, 0o750, 0o750]);
    expect(await modeOf('replicas/1/clog/00000000000000000147.stdb.log')).toBe(0o640);
    expect(progress.at(-1)).toMatchObject({ phase: 'done' });
    const steps = progress.filter(({ phase }) => phase === 'fetch');
    expect(new Set(steps.flatMap(({ database }) => database ?? []))).toEqual(new Set(['replica 1', 'replica 3']));
    for (const [index, { bytesDone }] of steps.entries())
      expect(bytesDone).toBeGreaterThanOrEqual(steps[index - 1]?.bytesDone ?? 0);
    expect(steps.at(-1)?.objectsDone).toBe(steps.at(-1)?.objectsTotal);
    expect(steps.at(-1)?.bytesDone).toBe(steps.at(-1)?.bytesTotal);
  });

  test('a dry run tells the same and writes nothing', async () => {
    await storeTwo();
    const report = await run({ dryRun: true });
    expect(report).toMatchObject({ outcome: 'planned', image: { files: 5 } });
    expect(report.replicas.map(({ position }) => position?.tx)).toEqual([299n, 119n]);
    await scene.expectNothing();
  });

  test('into a mount point it is renamed in, what makes it a server last', async () => {
    await storeTwo();
    await mkdir(join(scene.target, 'lost+found'), { recursive: true });
    await run({ system: { ...realTargetSystem, isMountPoint: async () => true } });
    expect((await readdir(scene.target)).includes('lost+found')).toBe(true);
    expect((await readdir(scene.target)).filter((name) => name.startsWith('.'))).toEqual([]);
    await expectLast('1', '00000000000000000147.stdb.log');
  });

  test('what a killed restore left in the target is no server, and the next one clears it', async () => {
    await storeTwo();
    await mkdir(join(scene.target, '.stdb-restore-0123456789ab', 'content'), { recursive: true });
    for (const name of ['extra', 'program-bytes', 'replicas/1/clog', 'control-db']) {
      await mkdir(join(scene.target, name), { recursive: true });
    }
    await writeFile(join(scene.target, 'replicas/1/clog/00000000000000000000.stdb.log'), 'half of something');
    expect(await databaseExists(scene.target)).toBe(false);
    await run({ ifDatabaseAbsent: true });
    await expectWhole();
    expect(await run({ ifDatabaseAbsent: true })).toMatchObject({ outcome: 'exists', image: null });
    await expect(run()).rejects.toThrow(TargetInUseError);
  });

  test('ends each database at the point that was planned first, although more is stored meanwhile', async () => {
    const commits = await readRecordedLog(SMALL);
    const [early, late] = [commits.slice(0, 100), commits.slice(100)];
    const database = new StoreBuilder(prefixedClient(scene.client, 'replicas/1/'));
    const line = await database.putGeneration({ number: 1 });
    await database.putLog(line, { commits: early, prev: crc32cValue(0) });
    const generation = await builder.putGeneration(1);
    await builder.putImage(generation, sample(1_000_000n, [1n]));
    await builder.putHead(generation);
    const client = scene.spying(async (key, options) => {
      if (key.endsWith('/0.zst')) await database.putLog(line, { commits: late });
      return scene.client.get(key, options);
    });
    const report = await run({ client, clientAt: (prefix) => prefixedClient(client, prefix) });
    expect(report.replicas).toMatchObject([{ position: { tx: early.at(-1)?.last } }]);
    expect((await readRecordedLog(join(scene.target, 'replicas', '1'))).at(-1)?.last).toBe(early.at(-1)?.last);
  });

  test('aborted at any request it leaves nothing, and gives all of the budget back', async () => {
    await storeTwo();
    let gets = 0;
    const counting = scene.spying(async (key, options) => {
      gets += 1;
      return scene.client.get(key, options);
    });
    await run({ client: counting, clientAt: (prefix) => prefixedClient(counting, prefix), dryRun: true });
    for (let stopAt = 1; stopAt <= gets + 12; stopAt += 3) {
      const abort = new AbortController();
      const budget = new ByteBudget(16 * 1024 * 1024);
      let seen = 0;
      const client = scene.spying(async (key, options) => {
        seen += 1;
        if (seen === stopAt) abort.abort(new Error('stopped'));
        return scene.client.get(key, options);
      });
      const clientAt: RestoreServerOptions['clientAt'] = (prefix) => prefixedClient(client, prefix);
      await expect(run({ client, clientAt, signal: abort.signal, budget })).rejects.toThrow('stopped');
      expect(budget.held).toBe(0);
      await scene.expectNothing();
    }
  });
});

describe('a database without a recovery point', () => {
  test('sends the restore to an older image that does not list it, aloud', async () => {
    await storeTwo();
    await builder.putImage(await builder.putGeneration(1), sample(2_000_000n, [1n, 3n, 7n], 'newer'));
    const report = await run();
    await expectWhole();
    expect(report.passedOver).toMatchObject([{ time: 2_000_000n, missing: [7n] }]);
    expect(report.warnings).toEqual([expect.stringContaining('replica 7')]);
  });

  test('that every image lists is named: 15, or left out with partial', async () => {
    const generation = await builder.putGeneration(1);
    await builder.putReplica(1n, SMALL);
    await builder.putImage(generation, sample(1_000_000n, [1n, 7n]));
    await builder.putImage(generation, sample(2_000_000n, [1n, 7n, 8n], 'newer'));
    await builder.putHead(generation);
    await expect(run()).rejects.toThrow(UnrecoverablePointError);
    await expect(run()).rejects.toThrow(/replica 7 .*replica 8/);
    await scene.expectNothing();
    const report = await run({ partial: true });
    expect(report.image?.time).toBe(2_000_000n);
    expect(report.missing.map(({ replicaId }) => replicaId)).toEqual([7n, 8n]);
    expect(report.warnings.filter((warning) => warning.includes('creates it anew, empty'))).toHaveLength(2);
    expect(await readdir(join(scene.target, 'replicas'))).toEqual(['1']);
  });

  test('where no image was ever stored: no backup, unless databases were stored', async () => {
    await expect(run()).rejects.toThrow(NoBackupError);
    await new StoreBuilder(prefixedClient(scene.client, 'replicas/1/')).putGeneration({ number: 1 });
    await expect(run()).rejects.toThrow(NoBackupError);
    await builder.putReplica(1n, SMALL);
    await expect(run()).rejects.toThrow(UnrecoverablePointError);
    await expect(run()).rejects.toHaveProperty('hint', expect.stringContaining('-replica-id'));
  });

  test('a lost format.json makes no empty place of a server’s backup', async () => {
    const kind = (): Promise<string | null> => readKind({ client: scene.client, signal: new AbortController().signal });
    scene.client.store.objects.delete('format.json');
    expect(await kind()).toBe(null);
    await builder.putReplica(1n, SMALL);
    expect(await kind()).toBe('server');
    await builder.putFormat();
    expect(await kind()).toBe('server');
  });
});

describe('damage', () => {
  const isDamageable = (key: string): boolean => key.startsWith('server/generations/') && key.includes('/images/');

  test('of any object of the newest image leads to the image before, aloud; of both, to nothing', async () => {
    await storeTwo();
    const older = [...scene.client.store.objects.keys()].filter(isDamageable);
    const generation = await builder.putGeneration(1);
    await builder.putImage(generation, sample(2_000_000n, [1n, 3n], 'newer'));
    const newer = [...scene.client.store.objects.keys()].filter((key) => isDamageable(key) && !older.includes(key));
    expect(newer).toHaveLength(6);
    for (const key of newer) {
      const whole = scene.bytesOf(key);
      scene.flip(key, whole.byteLength >> 1);
      const report = await run();
      await expectWhole();
      expect(report.image?.time, key).toBe(1_000_000n);
      expect(report.warnings).toEqual([expect.stringContaining('goes on without it')]);
      scene.client.store.set(key, whole);
      await scene.clear();
    }
    for (const key of [...older, ...newer]) if (key.endsWith('/0.zst')) scene.client.store.objects.delete(key);
    await expect(run()).rejects.toThrow(CorruptionError);
    await scene.expectNothing();
  });

  test('of a program ends the restore: no image is without it', async () => {
    await storeTwo();
    const key = [...scene.client.store.objects.keys()].find((name) => name.includes('program-bytes')) ?? '';
    const whole = scene.bytesOf(key);
    for (const index of [0, 4, whole.byteLength - 1]) {
      scene.flip(key, index);
      await expect(run()).rejects.toThrow(CorruptionError);
      scene.client.store.set(key, whole);
    }
    scene.client.store.objects.delete(key);
    await expect(run()).rejects.toThrow(CorruptionError);
    await scene.expectNothing();
  });

  test('of a database ends the restore, naming it, although an older image does not list it; partial leaves it out', async () => {
    const generation = await builder.putGeneration(1);
    await builder.putReplica(1n, SMALL);
    await builder.putReplica(3n, BATCHED);
    await builder.putImage(generation, sample(1_000_000n, [1n]));
    await builder.putImage(generation, sample(2_000_000n, [1n, 3n], 'newer'));
    await builder.putHead(generation);
    scene.client.store.objects.delete(
      [...scene.client.store.objects.keys()].findLast((key) => /^replicas\/3\/.*\/log\//.test(key)) ?? '',
    );
    await expect(run()).rejects.toThrow(/replica 3/);
    await expect(run()).rejects.toThrow(CorruptionError);
    await scene.expectNothing();
    const report = await run({ partial: true });
    expect(report.missing.map(({ replicaId }) => replicaId)).toEqual([3n]);
    expect(await readdir(join(scene.target, 'replicas'))).toEqual(['1']);
  });

  test('of a snapshot is done without, as in the restore of that database alone', async () => {
    await storeTwo();
    const pack = [...scene.client.store.objects.keys()].find((key) => key.startsWith('replicas/1/packs/')) ?? '';
    for (const key of scene.client.store.objects.keys()) if (key.startsWith('replicas/1/packs/')) scene.flip(key, 30);
    const report = await run();
    expect(pack).not.toBe('');
    expect(report.replicas[0]).toMatchObject({ replicaId: 1n, snapshot: null, position: { tx: 299n } });
    expect(report.warnings.every((warning) => warning.startsWith('Replica 1: '))).toBe(true);
    expect(report.warnings.length).toBeGreaterThan(0);
  });
});
