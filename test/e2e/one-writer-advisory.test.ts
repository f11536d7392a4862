/**
 * A store without conditional writes: that is found out and said once, every start is a new generation, a writer that was
 * replaced learns it by reading before it stores on, and what is restored is whole.
 */
import { describe, expect, test } from 'vitest';
import { S3ReplicaClient } from '../../src/replica/s3/s3-replica-client.ts';
import { Random } from '../sim/random.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { writeConfig } from '../support/database-beside-store.ts';
import { deafS3, type DeafStore, findRclone, rcloneS3 } from '../support/deaf-s3.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { mildFaults } from '../support/line-faults.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { readHead, readStored, type HeadFacts, type StoredDatabase } from '../support/stored-log.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { mirror } from '../support/mirror.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const rclone = await findRclone();

describe.concurrent('without conditional writes', () => {
  test.each(['ignored', 'not-implemented'] as const)('that are %s', async (conditions) => {
    await using store = await deafS3(conditions);
    await liveIn(store);
  });

  testNeeding({ missing: 'missing' in rclone ? rclone.missing : null })('in rclone serve s3', async () => {
    await using store = await rcloneS3('path' in rclone ? rclone.path : '');
    await liveIn(store);
  });
});

const WARNING = /this store ignores conditional writes/g;

async function liveIn(store: DeafStore): Promise<void> {
  await using place = await temporaryDirectory();
  await using proxy = new TcpProxy(store.endpoint);
  await proxy.open();
  proxy.mode = { kind: 'faults', fateOf: mildFaults(new Random(Date.now())) };
  const { bucket, accessKeyId, secretAccessKey } = store;
  const { endpoint } = proxy;
  const url = `s3://${bucket}/some/prefix?endpoint=${endpoint}&region=us-east-1&forcePathStyle=true`;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const recorded = await readDatabase(vectorDirectory('v2-small'));
  const growing = new GrowingDatabase(place.at('database'), recorded);
  const config = await writeConfig(place.at('c.yml'), { database: growing.directory, url, more: ['lease-ttl: 5s'] });
  const growTo = async (tx: bigint): Promise<void> => {
    while (growing.lastTx < tx) await growing.writeCommit();
  };
  let looks = 0;
  const look = async (): Promise<{ stored: StoredDatabase; head: HeadFacts }> => {
    looks += 1;
    const root = place.at(`mirror-${looks}`);
    const credentials = { accessKeyId, secretAccessKey };
    const options = {
      bucket,
      prefix: 'some/prefix',
      endpoint: store.endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials,
    };
    await using client = await S3ReplicaClient.open(options);
    await mirror(client, root);
    return { stored: await readStored(root), head: await readHead(root) };
  };

  await growing.create();
  for (const tx of [60n, 120n]) {
    await growTo(tx);
    const once = await runProgram(['replicate', '-once', '-config', config], { env });
    expect(once.code, once.stderr).toBe(0);
    expect(once.stderr.match(WARNING), once.stderr).toHaveLength(1);
    expect((await look()).head).toMatchObject({ released: false, position: { tx: tx.toString() } });
  }
  const { stored } = await look();
  expect(stored.generations.map(({ reason, parent }) => [reason, parent?.tx])).toEqual([
    ['first', undefined],
    ['takeover', 60n],
  ]);

  await using first = startProgram(['replicate', '-config', config], { env });
  const lastOf = async (): Promise<bigint | undefined> =>
    (await look()).stored.generations.at(-1)?.objects.at(-1)?.last;
  await growTo(150n);
  await first.until(async () => (await lastOf()) === 150n, 'the first process to store all');
  // An idle holder does not renew: another process of its owner gets the head after the ttl.
  await using second = startProgram(['replicate', '-config', config], { env });
  await second.says(/"reason":"takeover"/);
  const held = (await look()).head.generation;
  await growing.finish();
  await growing.takeSnapshot(180n);
  const fenced = await first.ended();
  expect(fenced.code, fenced.stderr).toBe(13);
  await second.until(async () => (await lastOf()) === 299n, 'the second process to store the rest');
  await second.says(/snapshot stored/);
  second.kill('SIGTERM');
  expect((await second.ended()).code).toBe(0);
  const end = await look();
  expect(end.head).toMatchObject({ generation: held, released: false, position: { tx: '299' } });
  // What the first one stored before it looked, if anything, is beyond the point where the second one branched off.
  expect(end.stored.generations.at(-1)).toMatchObject({ name: held, parent: { tx: 150n } });

  const restored = await runProgram(['restore', '-o', place.at('restored'), url], { env });
  expect(restored.code, restored.stderr).toBe(0);
  expect((await compareRestored(recorded, place.at('restored'))).differences).toEqual([]);
}
