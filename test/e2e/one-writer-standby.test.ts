/**
 * Invariant of `replicate -standby`: it waits for as long as the holder renews, says so once, goes on in the same
 * generation when that one hands over, and takes over from one that was killed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { databaseBesideStore, writeConfig } from '../support/database-beside-store.ts';
import { DivergingCopy } from '../support/diverging-copy.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { startProgram } from '../support/program.ts';
import { readHead, readStored } from '../support/stored-log.ts';

const TTL_MS = 5_000;

const s3 = await faultyS3();

s3.test('a standby waits, continues what was handed over, and takes over from the dead', async () => {
  await using place = await databaseBesideStore(null);
  await using store = await s3.open();
  const { url, env } = store;
  const database = new DivergingCopy(place.database, 'the only one');
  await database.create();
  await database.grow(10);
  const more = ['owner: game-0', `lease-ttl: ${TTL_MS / 1000}s`];
  const config = await writeConfig(place.at('c.yml'), { ...place, url, more });
  const last = async (): Promise<bigint | undefined> =>
    (await readStored(await store.asFiles())).generations.at(-1)?.objects.at(-1)?.last;
  const isStored = async (): Promise<boolean> => (await last()) === database.nextTx - 1n;

  await using first = startProgram(['replicate', '-config', config], { env });
  await first.until(isStored, 'the first commits to be stored');
  await using standby = startProgram(['replicate', '-config', config, '-standby'], { env });
  await standby.says(/on standby/);
  for (let waited = 0; waited < 1.5 * TTL_MS; waited += 250) {
    await database.grow(1);
    await delay(250);
  }
  await first.until(isStored, 'all to be stored');
  const { generation } = await readHead(await store.asFiles());
  expect((await readStored(await store.asFiles())).generations).toHaveLength(1);
  expect(standby.stderr.match(/on standby/g)).toHaveLength(1);
  expect(standby.stderr).not.toMatch(/replicating/);

  first.kill('SIGTERM');
  expect((await first.ended()).code).toBe(0);
  await standby.says(/"reason":"continue"/);
  await database.grow(5);
  await standby.until(isStored, 'the standby to store the rest');
  expect(await readHead(await store.asFiles())).toMatchObject({ generation, released: false });

  await using third = startProgram(['replicate', '-config', config, '-standby'], { env });
  await third.says(/on standby/);
  standby.kill('SIGKILL');
  await standby.ended();
  await third.says(/"reason":"takeover"/);
  await database.grow(5);
  await third.until(isStored, 'the third one to store the rest');
  expect((await readStored(await store.asFiles())).generations.map(({ parent }) => parent?.generation ?? null)).toEqual(
    [null, generation],
  );
  third.kill('SIGTERM');
  expect((await third.ended()).code).toBe(0);
});
