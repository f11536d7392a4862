// Invariant: stores that answer nothing, with whatever backlogs, take neither memory nor time from what goes to another.
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { copyVector } from '../../test/vectors/vectors.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { diskFiles } from '../core/readable-files.ts';
import { txOffset } from '../core/types.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { FaultyReplicaClient } from '../replica/wrap/faulty.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { identifyWriter } from '../replicate/writer.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { DatabaseReplication } from './database-replication.ts';
import { MemoryShares } from './memory-shares.ts';
import type { ReplicationContext } from './replication.ts';
import { Supervisor } from './supervisor.ts';

const MIB = 1024 * 1024;
const DEAD = 8;

async function contextWith(signal: AbortSignal): Promise<ReplicationContext> {
  return {
    config: { leaseTtlMs: 60_000, levels: [{ intervalMs: 100 }], compressionLevel: 1, takeover: false },
    once: false,
    standby: false,
    giveUpAfterMs: null,
    writer: await identifyWriter({ owner: 'test', version: '0' }),
    files: diskFiles,
    clock: systemClock,
    memory: new MemoryShares({ memoryBytes: 32 * MIB, stores: new Set(['dead', 'alive']) }),
    supervisor: new Supervisor({ signal, log: silentLog }),
  };
}

/** Incompressible commits of half a MiB. */
async function writeLog(directory: string, commits: number): Promise<void> {
  await mkdir(`${directory}/clog`, { recursive: true });
  await mkdir(`${directory}/snapshots`);
  const records = randomBytes(MIB / 2);
  const parts = Array.from({ length: commits }, (_, tx) => encodeCommit({ version: 1, tx: txOffset(tx), records }));
  const log = Buffer.concat([encodeSegmentHeader({ version: 1 }), ...parts]);
  await writeFile(`${directory}/clog/${formatSegmentName(txOffset(0))}`, log);
}

test(`${DEAD} databases with backlogs to a dead store, and two to another`, async () => {
  await using directory = await temporaryDirectory();
  const stop = new AbortController();
  const context = await contextWith(stop.signal);
  const dead = new FaultyReplicaClient(new MemoryReplicaClient(), {
    clock: systemClock,
    faults: [{ kind: 'fail-before', operation: 'put', key: /log\/|packs\//, times: 1e9 }],
  });
  const open = (name: string, store: 'dead' | 'alive'): DatabaseReplication => {
    const root = store === 'dead' ? prefixedClient(dead, `${name}/`) : new MemoryReplicaClient();
    return new DatabaseReplication(context, { path: directory.at(name), root, store, log: silentLog });
  };
  const running: Promise<unknown>[] = [];
  const stuck: DatabaseReplication[] = [];
  for (let index = 0; index < DEAD; index += 1) {
    await writeLog(directory.at(`dead-${index}`), 12);
    const one = open(`dead-${index}`, 'dead');
    stuck.push(one);
    running.push(context.supervisor.run(one));
  }
  while (dead.struck < 2 * DEAD) await systemClock.sleep(10);

  await writeLog(directory.at('large'), 24);
  copyVector('v2-small', directory.at('small'));
  const alive = [open('large', 'alive'), open('small', 'alive')] as const;
  running.push(...alive.map((each) => context.supervisor.run(each)));
  const isDone = (): boolean => {
    const [[large], [small]] = [alive[0].databases(), alive[1].databases()];
    return large.stored?.tx === 23n && small.stored?.tx === 299n && small.counters.snapshots === 1;
  };
  while (!isDone()) await systemClock.sleep(10);
  for (const one of stuck) expect(one.databases()[0]).toMatchObject({ state: 'streaming', stored: null });
  stop.abort(new Error('enough'));
  await Promise.all(running);
});
