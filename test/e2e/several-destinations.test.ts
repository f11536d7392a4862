/**
 * Invariants of several destinations: each has its own position, retries and health; one that is down neither delays nor
 * fails the others, whatever they share (memory, connections, the log), and catches up from the local log when it is back.
 * A restore of the database's own directory takes the one that reaches furthest, and asks all of them.
 */
import { rm, writeFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { type DatabaseBesideStore, databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { type FaultyStore, faultyS3 } from '../support/faulty-s3.ts';
import { freePort } from '../support/free-port.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { metric, metrics, readiness } from '../support/http-status.ts';
import { startProgram } from '../support/program.ts';
import { lastTxOf, readDatabase } from '../support/recorded-database.ts';
import { readHead, readStored } from '../support/stored-log.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const s3 = await faultyS3();
/** Where failures are counted, or patience is short: late, and nothing worse. */
const late = (): Promise<FaultyStore> => s3.open({ mode: { kind: 'faults', fateOf: () => ({ kind: 'late', ms: 5 }) } });
const silent = (): Promise<FaultyStore> => s3.open({ mode: { kind: 'hang' } });

/** The beginning of its name in metrics. */
const labelOf = ({ url }: FaultyStore): string => `destination="s3://${new URL(url).hostname}`;

/** @param stores the destinations of the one database */
async function configure(
  place: DatabaseBesideStore,
  stores: readonly FaultyStore[],
  more: readonly string[] = [],
): Promise<string> {
  const entries = [{ path: place.database, replicas: stores.map(({ url }) => ({ url })) }];
  const config = place.at('c.yml');
  // JSON is YAML.
  await writeFile(config, [...more, `dbs: ${JSON.stringify(entries)}`, ''].join('\n'));
  return config;
}

async function expectRestored(place: DatabaseBesideStore, name: string, { url, env }: FaultyStore): Promise<void> {
  await runWell(['restore', '-o', place.at(name), url], { env });
  expect((await compareRestored(await readDatabase(place.database), place.at(name))).differences).toEqual([]);
}

interface Growing extends AsyncDisposable {
  readonly place: DatabaseBesideStore;
  readonly growing: GrowingDatabase;
  /** Goes away. */
  readonly one: FaultyStore;
  /** Stays. */
  readonly two: FaultyStore;
  readonly env: Readonly<Record<string, string>>;
  readonly addr: string;
  readonly config: string;
  readonly stored: (store: FaultyStore) => Promise<number | null>;
  readonly snapshots: (store: FaultyStore) => Promise<number | null>;
}

/** A third of a database, which is to be replicated to two stores. */
async function growingDatabase(): Promise<Growing> {
  const disposables = new AsyncDisposableStack();
  const place = disposables.use(await databaseBesideStore(null));
  const one = disposables.use(await s3.open());
  const two = disposables.use(await late());
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  while (growing.lastTx < 100n) await growing.writeCommit();
  const addr = `127.0.0.1:${await freePort()}`;
  return {
    place,
    growing,
    one,
    two,
    env: one.env,
    addr,
    config: await configure(place, [one, two], [`addr: ${addr}`, 'request-timeout: 2s']),
    stored: (store) => metric(addr, 'stored_tx_offset', labelOf(store)),
    snapshots: (store) => metric(addr, 'snapshots_total', labelOf(store)),
    [Symbol.asyncDispose]: () => disposables.disposeAsync(),
  };
}

describe.concurrent('one pass', () => {
  s3.test('stores everything at each', async () => {
    await using place = await databaseBesideStore();
    await using one = await s3.open();
    await using two = await s3.open();
    await runWell(['replicate', '-once', place.database, one.url, two.url], { env: one.env });
    for (const [name, store] of Object.entries({ one, two })) await expectRestored(place, name, store);
  });

  s3.test('one that does not answer is told by the exit code, and the other has all', async () => {
    await using place = await databaseBesideStore();
    await using hanging = await silent();
    await using store = await late();
    const config = await configure(place, [hanging, store], ['request-timeout: 1s']);
    await runBadly(['replicate', '-once', '-give-up-after', '1s', '-config', config], {
      env: store.env,
      code: 3,
      says: [/"code":"STORE_UNAVAILABLE"/, new RegExp(hanging.proxy.endpoint)],
    });
    expect(await readHead(await store.asFiles())).toMatchObject({ released: true, position: { tx: '299' } });
    await expectRestored(place, 'one', store);
  });

  s3.test('the same destination twice is refused', async () => {
    await using place = await databaseBesideStore();
    await using store = await s3.open();
    const again = store.url.replace('/some/prefix', '/some/prefix/');
    await runBadly(['replicate', '-once', place.database, store.url, again], {
      env: store.env,
      code: 2,
      says: [/is the same place as that of dbs\[0\]\.replicas\[0\]/],
    });
    expect((await readStored(await store.asFiles())).objects).toBe(0);
  });

  s3.test('of a service, at a store that never answers: it is not ready, and holds nobody back', async () => {
    await using place = await databaseBesideStore();
    await using hanging = await silent();
    await using store = await s3.open();
    const addr = `127.0.0.1:${await freePort()}`;
    const config = await configure(place, [hanging, store], [`addr: ${addr}`, 'shutdown-timeout: 1s']);
    await using program = startProgram(['replicate', '-config', config], { env: store.env });
    await program.says(/snapshot stored/);
    expect(await metric(addr, 'stored_tx_offset', labelOf(store))).toBe(299);
    expect(await readiness(addr)).toMatchObject({
      ready: false,
      databases: [{ health: 'starting' }, { health: 'ok' }],
    });
    program.kill('SIGTERM');
    const { code, stderr } = await program.ended();
    // What one has is safe there; the other one lacks all.
    expect(code, stderr).toBe(3);
    expect(await readHead(await store.asFiles())).toMatchObject({ released: true, position: { tx: '299' } });
  });
});

describe.concurrent('a store that goes away while the database grows', () => {
  s3.test('catches up when it is back, and nobody else noticed', async () => {
    await using scene = await growingDatabase();
    const { place, growing, one, two, env, addr, stored, snapshots } = scene;
    await using program = startProgram(['replicate', '-config', scene.config], { env });
    await program.says(/serving metrics/);
    for (const each of [one, two]) await program.until(async () => (await stored(each)) === 100, 'the beginning');
    await one.proxy.cut();
    while (growing.lastTx < 200n) await growing.writeCommit();
    await growing.takeSnapshot(180n);
    await program.until(async () => (await stored(two)) === 200, 'the other to have all');
    await program.until(async () => (await snapshots(two)) === 1, 'the snapshot');
    expect(await stored(one)).toBe(100);
    expect(await metric(addr, 'lag_seconds', labelOf(two))).toBe(0);
    await program.until(async () => ((await metric(addr, 'lag_seconds', labelOf(one))) ?? 0) > 0, 'a lag');
    expect(await metric(addr, 'store_errors_total', labelOf(two), 'operation="put"')).toBe(0);
    // In the order of the configuration; what is down is degraded, and takes no readiness from the service.
    expect(await readiness(addr)).toMatchObject({
      ready: true,
      databases: [
        { health: 'degraded', reason: expect.stringContaining('STORE_UNAVAILABLE') as string },
        { health: 'ok' },
      ],
    });
    // Which one reaches further cannot be known while one cannot be asked.
    await runBadly(['restore', '-config', scene.config, '-give-up-after', '1s', '-o', place.restored, place.database], {
      env,
      code: 75,
      says: [new RegExp(one.proxy.endpoint)],
    });

    await one.proxy.open();
    await growing.finish();
    await program.until(async () => (await stored(one)) === 299, 'it to catch up');
    await program.until(async () => (await stored(two)) === 299, 'the other to go on');
    program.kill('SIGTERM');
    const { code, stderr } = await program.ended();
    expect(code, stderr).toBe(0);
    await expectRestored(place, 'one', one);
    await expectRestored(place, 'two', two);
  });

  s3.test('gets a gap where the local log no longer holds what it misses, and the other does not', async () => {
    await using scene = await growingDatabase();
    const { place, growing, one, two, env, addr, stored, snapshots } = scene;
    {
      await using first = startProgram(['replicate', '-config', scene.config], { env });
      await first.says(/serving metrics/);
      for (const each of [one, two]) await first.until(async () => (await stored(each)) === 100, 'the beginning');
      await one.proxy.cut();
      await growing.finish();
      await growing.takeSnapshot(180n);
      await first.until(async () => (await snapshots(two)) === 1, 'the snapshot');
      await first.until(async () => (await stored(two)) === 299, 'the other to have all');
    }
    // The one that reaches further, without a word about which one that is.
    await one.proxy.open();
    await runWell(['restore', '-config', scene.config, '-o', place.at('furthest'), place.database], { env });
    expect(lastTxOf(await readDatabase(place.at('furthest')))).toBe(299n);
    await one.proxy.cut();
    // What a server removes once a snapshot stands behind it.
    await rm(`${place.database}/clog/00000000000000000000.stdb.log`);
    await rm(`${place.database}/clog/00000000000000000000.stdb.ofs`);

    await using second = startProgram(['replicate', '-config', scene.config], { env });
    await second.says(/serving metrics/);
    await second.until(async () => (await stored(two)) === 299, 'the other to go on while one is away');
    await one.proxy.open();
    await second.until(async () => (await stored(one)) === 299, 'it to begin anew');
    await second.until(async () => (await snapshots(one)) === 1, 'its snapshot');
    const reasonsOf = async (store: FaultyStore): Promise<string[]> =>
      [...(await metrics(addr, 'generations_total')).keys()].flatMap((labels) =>
        labels.includes(labelOf(store)) ? (/reason="([^"]*)"/.exec(labels)?.slice(1) ?? []) : [],
      );
    expect([await reasonsOf(one), await reasonsOf(two)]).toEqual([['gap'], ['takeover']]);
    second.kill('SIGTERM');
    const { code, stderr } = await second.ended();
    expect(code, stderr).toBe(0);
    await expectRestored(place, 'one', one);
    await expectRestored(place, 'two', two);
  });
});
