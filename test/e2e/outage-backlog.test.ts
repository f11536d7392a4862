/**
 * Invariant: an outage during which more is written than memory may hold costs no memory, is warned of, and is followed
 * by few, long objects and by the good news.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import { databaseBesideStore, runWell, writeConfig } from '../support/database-beside-store.ts';
import { LongLog } from '../support/long-log.ts';
import { testNeeding } from '../support/named-skip.ts';
import { PEAK_BYTES_MAX, peakBytes } from '../support/peak-bytes.ts';
import { type RunningProgram, startProgram } from '../support/program.ts';
import { s3Credentials, s3Url } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const found = await s3Server();
const needsS3 = testNeeding({ missing: isServer(found) ? null : found.skip, requiredBy: 'STDB_TEST_REQUIRE_S3' });

afterAll(async () => {
  if (isServer(found)) await found.stop();
});

const MEMORY_MIB = 32;
/** Of 1 s: a warning is due after ten. */
const OUTAGE_MS = 12_000;

const objectsOf = ({ stderr }: RunningProgram): number => stderr.split('"msg":"stored"').length - 1;

needsS3('a hundred megabytes are written while a store hangs', async () => {
  if (!isServer(found)) throw new Error(found.skip);
  await using place = await databaseBesideStore(null);
  await using proxy = new TcpProxy(found.endpoint);
  await proxy.open();
  const bucket = await found.makeBucket();
  const env = s3Credentials(found);
  const log = await LongLog.create(place.database);
  await log.append(1, { bytes: 1000 });
  const more = [`memory: ${MEMORY_MIB}MiB`, 'request-timeout: 1s'];
  const url = s3Url({ ...found, endpoint: proxy.endpoint }, bucket);
  const config = await writeConfig(place.at('c.yml'), { ...place, url, more });
  await using program = startProgram(['replicate', '-log-level', 'debug', '-log-format', 'json', '-config', config], {
    env,
  });
  await program.until(() => objectsOf(program) > 0, 'an object to be stored');

  proxy.mode = { kind: 'hang' };
  const began = performance.now();
  for (let part = 0; part < 10; part += 1) await log.append(100, { bytes: 100 * 1024 });
  await delay(OUTAGE_MS - (performance.now() - began));
  const requests = proxy.requests;
  await program.says(/"level":"warn".*calls to the store fail; trying again/);
  expect(requests).toBeLessThan(30);
  const before = objectsOf(program);

  proxy.mode = { kind: 'pass' };
  await program.until(() => storedLast(program) >= log.lastTx, 'all to be stored');
  await program.says(/"level":"info".*the store answers again after \d+ s/);
  expect(await peakBytes(program)).toBeLessThan(PEAK_BYTES_MAX);
  // A hundred megabytes in pieces of what the memory allows, and what was under way.
  expect(objectsOf(program) - before).toBeLessThanOrEqual(16);
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
  await runWell(['restore', '-o', place.restored, s3Url(found, bucket)], { env });
  expect(await log.equals(place.restored)).toBe(true);
});

/** The last transaction of the newest object that is stored; -1 before the first. */
function storedLast({ stderr }: RunningProgram): bigint {
  const names = [...stderr.matchAll(/\/\d{20}-(\d{20})\.[^"]*\.zst"[^\n]*"msg":"stored"/g)];
  return names.reduce((last, [, tx]) => (BigInt(tx ?? 0) > last ? BigInt(tx ?? 0) : last), -1n);
}
