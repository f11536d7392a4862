/**
 * Invariants of `lease show` and `lease release`: what is shown is what the head says and this machine can see; a lease
 * is released only in the name of a process that is proven dead or silent for a whole ttl; the next start goes on behind
 * the last stored commit, and what the dead one sends late is in no restore.
 */
import { writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { micros } from '../../src/core/types.ts';
import { decodeHeadDocument, encodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { readBody } from '../../src/replica/replica-client.ts';
import { databaseBesideStore, runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { type FaultyStore, faultyS3 } from '../support/faulty-s3.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { lineOf, readHead, readLineSegments, readStored } from '../support/stored-log.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';

interface ShownLease {
  readonly prefix: string;
  readonly mode: string | null;
  readonly head: {
    readonly owner: string;
    readonly generation: string;
    readonly released: boolean;
    readonly ttlSeconds: number;
    readonly position: { readonly tx: string } | null;
    readonly process: { readonly pid: number; readonly seen: string };
  };
}

async function show(env: FaultyStore['env'], place: string, ...more: readonly string[]): Promise<ShownLease[]> {
  const { stdout } = await runWell(['lease', 'show', '-json', ...more, place], { env });
  const document = JSON.parse(stdout) as { destinations: { leases: ShownLease[] }[] };
  return document.destinations.flatMap(({ leases }) => leases);
}

/** Writes the head anew, as held by a process of another machine: nothing of it can be seen from here. */
async function holdFromElsewhere(store: FaultyStore, change: Partial<HeadDocument> = {}): Promise<void> {
  await using client = await store.client('direct');
  const document = decodeHeadDocument(await readBody(await client.get('head.json'), 65_536));
  const process = { ...document.process, machineId: 'elsewhere', bootId: 'elsewhere', host: 'elsewhere' };
  await client.put('head.json', encodeHeadDocument({ ...document, process, ttlMs: 3_000, released: false, ...change }));
}

const s3 = await faultyS3();

// Side by side, since they wait for most of their time.
describe.concurrent('lease', () => {
  s3.test('of a living process: shown, and not released', async () => {
    await using place = await databaseBesideStore();
    await using store = await s3.open();
    const { url, env } = store;
    const config = await writeConfig(place.at('c.yml'), { ...place, url, more: ['owner: game-7', 'lease-ttl: 5s'] });
    await using program = startProgram(['replicate', '-config', config], { env });
    await program.says(/snapshot stored/);
    for (const where of [[url], [place.database, '-config', config]]) {
      const [lease, ...others] = await show(env, where[0] ?? '', ...where.slice(1));
      expect(others).toEqual([]);
      expect(lease).toMatchObject({
        prefix: '',
        head: { owner: 'game-7', released: false, ttlSeconds: 5, process: { pid: program.pid, seen: 'alive' } },
      });
    }
    const { stdout } = await runWell(['lease', 'show', url], { env });
    expect(stdout).toMatch(new RegExp(`held by +process ${program.pid} on .*it runs on this machine`));
    await runBadly(['lease', 'release', url], { env, code: 11, says: [/it lives/, /Stop it/] });
    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(0);
    expect(await show(env, url)).toMatchObject([
      { mode: 'exclusive', head: { released: true, position: { tx: '299' } } },
    ]);
    expect((await runWell(['lease', 'release', url], { env })).stdout).toMatch(/released before/);
  });

  s3.test('of a killed process: released, and continued in a generation of its own', async () => {
    await using place = await databaseBesideStore(null);
    await using store = await s3.open();
    const { url, env } = store;
    const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
    await growing.create();
    while (growing.lastTx < 120n) await growing.writeCommit();
    await using program = startProgram(['replicate', place.database, url], { env });
    await program.until(
      async () => (await readStored(await store.asFiles())).generations.at(-1)?.objects.at(-1)?.last === 120n,
      'all to be stored',
    );
    program.kill('SIGKILL');
    await program.ended();
    const dead = await readHead(await store.asFiles());
    expect(await show(env, url)).toMatchObject([{ head: { process: { seen: 'dead' }, released: false } }]);
    const { stdout } = await runWell(['lease', 'release', url], { env });
    expect(stdout).toMatch(/proven dead/);
    expect(stdout).toMatch(/goes on at once behind transaction 120/);
    const head = await readHead(await store.asFiles());
    expect(head).toMatchObject({ owner: dead.owner, released: true, position: { tx: '120' } });
    expect(head.generation).not.toBe(dead.generation);

    await growing.finish();
    await runWell(['replicate', '-once', place.database, url], { env });
    const stored = await readStored(await store.asFiles());
    expect(stored.generations.map(({ name }) => name)).toEqual([dead.generation, head.generation]);
    const line = lineOf(stored, head.generation);
    expect(line.faults).toEqual([]);
    const segments = await readLineSegments(await store.asFiles(), line);
    for (const { name, bytes } of (await readDatabase(place.database)).segments) {
      expect(segments.get(name.slice(0, 20))?.equals(bytes), name).toBe(true);
    }
  });

  s3.test(
    'of a process that cannot be seen: released after a whole ttl of silence, refused when it renews',
    async () => {
      await using place = await databaseBesideStore();
      await using store = await s3.open();
      const { url, env } = store;
      await runWell(['replicate', '-once', place.database, url], { env });
      await holdFromElsewhere(store);
      expect(await show(env, url)).toMatchObject([{ mode: null, head: { process: { seen: 'unknown' } } }]);
      await using watching = startProgram(['lease', 'release', url], { env });
      await watching.says(/cannot be proven dead/);
      await holdFromElsewhere(store, { renewedAt: micros(1n) });
      const refused = await watching.ended();
      expect(refused.code, refused.stderr).toBe(11);
      expect(refused.stdout + refused.stderr).toMatch(/belongs to owner/);

      const { stdout } = await runWell(['lease', 'release', '-json', url], { env });
      expect(JSON.parse(stdout)).toMatchObject({
        destinations: [{ leases: [{ outcome: 'released', because: 'expired', position: { tx: '299' } }] }],
      });
      expect(await readHead(await store.asFiles())).toMatchObject({ released: true, position: { tx: '299' } });
    },
  );

  s3.test('of a killed process, for each head of a whole server in each of two destinations', async () => {
    await using place = await databaseBesideStore(null);
    await using one = await s3.open();
    await using two = await s3.open();
    const { env } = one;
    copyVector('server-2.8', place.database);
    const urls = [one.url, two.url];
    const config = place.at('c.yml');
    const replicas = urls.map((url) => `      - url: ${url}`);
    await writeFile(config, ['dbs:', `  - path: ${place.database}`, '    replicas:', ...replicas, ''].join('\n'));
    await using program = startProgram(['replicate', '-config', config], { env });
    const times = (words: RegExp): number => program.stderr.match(words)?.length ?? 0;
    const holdsAll = (): boolean => times(/image of the server stored/g) === 2 && times(/"replicating from/g) === 4;
    await program.until(holdsAll, 'both images and all four logs');
    program.kill('SIGKILL');
    await program.ended();
    const prefixes = ['server/', 'replicas/1/', 'replicas/3/'];
    const held = await show(env, place.database, '-config', config);
    expect(held.map(({ prefix, head }) => [prefix, head.process.seen])).toEqual(
      [...prefixes, ...prefixes].map((prefix) => [prefix, 'dead']),
    );
    await runWell(['lease', 'release', '-config', config, place.database], { env });
    const released = await show(env, place.database, '-config', config);
    expect(released.map(({ head }) => head.released)).toEqual(released.map(() => true));
    await runWell(['replicate', '-once', '-config', config], { env });
    const after = await show(env, place.database, '-config', config);
    expect(after.map(({ head }) => head.generation)).toEqual(released.map(({ head }) => head.generation));
    for (const [index, url] of urls.entries()) {
      await runWell(['restore', '-o', place.at('restored', `${index}`), url], { env });
    }
  });

  s3.test('where there is no backup', async () => {
    await using store = await s3.open();
    const { url, env } = store;
    for (const verb of ['show', 'release']) {
      await runBadly(['lease', verb, url], { env, code: 10, says: [/there is no backup in/] });
      await runBadly(['lease', verb], { env, code: 2, says: [/takes DB_DIR or URL/] });
    }
    expect((await runProgram(['lease'])).code).toBe(2);
  });
});
