/**
 * Invariant: a store that goes away, is full or hangs costs lag and never a commit: the service goes on when it is back,
 * a one-shot command ends with the cause's exit code, and the next one goes on where that one stopped.
 */
import { existsSync } from 'node:fs';
import { appendFile, cp, readdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { databaseBesideStore, runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { testNeeding } from '../support/named-skip.ts';
import { startProgram } from '../support/program.ts';
import { rawHttpServer } from '../support/raw-http-server.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { mountSmallDisk, whyNoSmallDisk } from '../support/small-disk.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const needsDisk = testNeeding({ missing: whyNoSmallDisk() });

describe('a store that takes requests and never answers', () => {
  const env = { AWS_ACCESS_KEY_ID: 'somebody', AWS_SECRET_ACCESS_KEY: 'something' };
  const urlOf = (endpoint: string): string => `s3://bucket/prefix?endpoint=${endpoint}&region=us-east-1`;

  test('one pass gives up', async () => {
    await using place = await databaseBesideStore();
    await using hanging = await rawHttpServer(() => undefined);
    const config = await writeConfig(place.at('c.yml'), {
      ...place,
      url: urlOf(hanging.endpoint),
      more: ['request-timeout: 1s'],
    });
    await runBadly(['replicate', '-once', '-give-up-after', '1s', '-config', config], {
      env,
      code: 75,
      says: [/no answer|timeout|timed out/i, /"hint":"[^"]+"/],
    });
  });

  test('a restore that is stopped leaves no target', async () => {
    await using place = await databaseBesideStore();
    await using hanging = await rawHttpServer(() => undefined);
    await using program = startProgram(['restore', '-o', place.restored, urlOf(hanging.endpoint)], { env });
    await program.until(() => hanging.requests.length > 0, 'a request');
    program.kill('SIGTERM');
    const { code, stderr } = await program.ended();
    expect(code, stderr).toBe(143);
    expect(stderr).toMatch(/the restore was stopped: .*restored was left as it was/);
    expect(existsSync(place.restored)).toBe(false);
  });
});

needsDisk('a full disk under the store: nothing half stored, and the next pass goes on', async () => {
  await using place = await databaseBesideStore();
  await using disk = await mountSmallDisk(place.store, '48k');
  await runBadly(['replicate', '-once', '-give-up-after', '1s', place.database, place.url], {
    code: 1,
    says: [/ENOSPC|no space/i, /"hint":"[^"]+"/],
  });
  await disk.resize('8m');
  await runWell(['replicate', '-once', place.database, place.url]);
  await runWell(['restore', '-o', place.restored, place.url]);
  expect((await compareRestored(await readDatabase(place.database), place.restored)).differences).toEqual([]);
});

needsDisk('a disk under the store that is full for some is full for all: one pass waits once, and ends', async () => {
  await using place = await databaseBesideStore(null);
  await cp(vectorDirectory('server-2.8'), place.at('server'), { recursive: true });
  // So little that the heads may still be written.
  await using disk = await mountSmallDisk(place.store, '48k');
  const { stderr } = await runBadly(['replicate', '-once', '-give-up-after', '2s', place.at('server'), place.url], {
    code: 1,
    says: [/ENOSPC|no space/i, /Free space on this disk/],
  });
  // No snapshot is to blame for it, and none is tried behind another.
  expect(stderr).not.toMatch(/snapshot \d+ cannot be backed up/);
  await disk.resize('16m');
  await runWell(['replicate', '-once', place.at('server'), place.url]);
});

needsDisk('a full disk under a restore: looked at first, and nothing is left behind', async () => {
  await using place = await databaseBesideStore();
  await runWell(['replicate', '-once', place.database, place.url]);
  await using disk = await mountSmallDisk(place.at('disk'), '256k');
  await runBadly(['restore', '-o', `${disk.path}/restored`, place.url], { code: 1, says: [/disk/, /hint: .*space/i] });
  expect(await readdir(disk.path)).toEqual([]);
  // Into the mount point itself.
  await runBadly(['restore', '-o', disk.path, place.url], { code: 1, says: [/disk/] });
  expect(await readdir(disk.path)).toEqual([]);
  await disk.resize('16m');
  await runWell(['restore', '-o', disk.path, place.url]);
  expect((await compareRestored(await readDatabase(place.database), disk.path)).differences).toEqual([]);
});

test('two writers of one owner, the first one busy: the second one is refused and names it', async () => {
  await using place = await databaseBesideStore(null);
  const growing = new GrowingDatabase(place.database, await readDatabase(vectorDirectory('v2-small')));
  await growing.create();
  await growing.writeCommit();
  const config = await writeConfig(place.at('c.yml'), { ...place, more: ['lease-ttl: 5s'] });
  await using first = startProgram(['replicate', '-config', config]);
  await first.says(/replicating/);
  await using second = startProgram(['replicate', '-config', config]);
  const ended = second.ended();
  let isOver = false;
  void ended.then(() => (isOver = true));
  while (!isOver && !growing.isComplete) {
    await growing.writeCommit();
    await delay(100);
  }
  const { code, stderr } = await ended;
  expect(code, stderr).toBe(11);
  expect(stderr).toMatch(new RegExp(`process ${first.pid}`));
  first.kill('SIGTERM');
  expect((await first.ended()).code).toBe(0);
});

test('two databases, one of them refused: the other one is stored, exit code 3', async () => {
  await using place = await databaseBesideStore();
  await using other = await databaseBesideStore('v2-damaged/version9');
  const config = await writeConfig(place.at('c.yml'), place);
  const more = `  - path: ${other.database}\n    replica:\n      url: ${other.url}\n`;
  await appendFile(config, more);
  await runBadly(['replicate', '-once', '-config', config], { code: 3, says: [/version 9/] });
  await runWell(['restore', '-o', place.restored, place.url]);
  expect((await compareRestored(await readDatabase(place.database), place.restored)).differences).toEqual([]);
});
