/**
 * Invariants of the head, where its writes lose their answers: a swap whose fate is unknown is settled by reading, so
 * that nobody takes his own write for another's; and who owns it may be changed by order alone.
 */
import { describe, expect } from 'vitest';
import { databaseBesideStore, runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { DivergingCopy } from '../support/diverging-copy.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import type { ProxyMode } from '../support/tcp-proxy.ts';
import { lastTxOf, readDatabase } from '../support/recorded-database.ts';
import { readHead, readStored } from '../support/stored-log.ts';

const s3 = await faultyS3();

/** Every other write of such an object is done, and its answer lost. */
function losingAnswers(line: RegExp): ProxyMode {
  let writes = 0;
  return {
    kind: 'faults',
    fateOf: (request) => {
      if (!line.test(request)) return { kind: 'pass' };
      writes += 1;
      return { kind: writes % 2 === 1 ? 'answer-lost' : 'pass' };
    },
  };
}

describe.concurrent('the head', () => {
  s3.test('is taken, renewed and released by writes whose answers are lost', async () => {
    await using place = await databaseBesideStore(null);
    await using store = await s3.open({ mode: losingAnswers(/^PUT \S+\/(head|generation)\.json/) });
    const { url, env, proxy } = store;
    const database = new DivergingCopy(place.database, 'the only one');
    await database.create();
    for (const pass of [1, 2, 3]) {
      await database.grow(10);
      const lost = proxy.faults;
      await runWell(['replicate', '-once', place.database, url], { env });
      expect(proxy.faults, `pass ${pass}`).toBeGreaterThan(lost);
      const root = await store.asFiles();
      expect(await readHead(root)).toMatchObject({
        released: true,
        position: { tx: (database.nextTx - 1n).toString() },
      });
      expect((await readStored(root)).generations.map(({ reason }) => reason)).toEqual(['first']);
    }
    await runWell(['restore', '-o', place.restored, url], { env });
    expect(lastTxOf(await readDatabase(place.restored))).toBe(database.nextTx - 1n);
  });

  s3.test('belongs to its owner, also when it is released, until somebody orders a takeover', async () => {
    await using place = await databaseBesideStore(null);
    await using store = await s3.open();
    const { url, env } = store;
    const database = new DivergingCopy(place.database, 'the only one');
    await database.create();
    await database.grow(10);
    const [game, staging] = await Promise.all(
      ['game-0', 'staging'].map((owner) =>
        writeConfig(place.at(`${owner}.yml`), { ...place, url, more: [`owner: ${owner}`] }),
      ),
    );
    await runWell(['replicate', '-once', '-config', game ?? ''], { env });
    await database.grow(10);
    const refused = { env, code: 11, says: [/belongs to owner game-0/] };
    await runBadly(['replicate', '-once', '-config', staging ?? ''], refused);
    await runWell(['replicate', '-once', '-takeover', '-config', staging ?? ''], { env });
    const root = await store.asFiles();
    expect(await readHead(root)).toMatchObject({ owner: 'staging', released: true });
    expect((await readStored(root)).generations.map(({ reason }) => reason)).toEqual(['first', 'takeover']);
    await runBadly(['replicate', '-once', '-config', game ?? ''], {
      env,
      code: 11,
      says: [/belongs to owner staging/],
    });
  });
});
