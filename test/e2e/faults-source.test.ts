/**
 * Invariant: whatever call on the source fails, once or for a while, with whatever error: the service goes on by itself,
 * stores nothing twice under other bytes, skips nothing, leaves no file open, and a restore equals the source.
 */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { primaryError, systemCode } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import type { PutBody, PutOptions, ReplicaClient } from '../../src/replica/replica-client.ts';
import { gatherBody } from '../../src/replica/put-body.ts';
import { Replicator, type ReplicatorOptions } from '../../src/replicate/replicator.ts';
import { identifyWriter } from '../../src/replicate/writer.ts';
import { restore } from '../../src/restore/restore.ts';
import { destinationOf } from '../../src/daemon/destination.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { FaultyFiles, type FaultyFilesOptions, type SourceCall, type SystemCode } from '../support/faulty-files.ts';
import { requireSameBytesTwice } from '../support/same-bytes.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { makeTinyReplica, TINY_SNAPSHOT } from '../support/tiny-replica.ts';

const CODES: readonly SystemCode[] = ['EIO', 'ENOSPC', 'EMFILE', 'ENFILE', 'EACCES', 'ESTALE', 'EINTR', 'ENOMEM'];
const NEWEST_SEGMENT = join('clog', '00000000000000000003.stdb.log');
const LAST_TX = 6n;
/** Every call of a run, with every code: minutes. In between a sample is taken. */
const IS_LONG = (process.env['STDB_TEST_LONG'] ?? '') !== '';
const WAIT_MS_MAX = 20_000;

const never = new AbortController().signal;

/** Backs off for a moment only. */
const hastyClock: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms, 3), options) };

interface Store {
  readonly client: ReplicaClient;
  keys(): Promise<readonly string[]>;
  /** Fails where an object was sent twice with other bytes. */
  judge(): void;
}

async function keysOf(client: Pick<ReplicaClient, 'list'>): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of client.list('')) keys.push(key);
  return keys;
}

function memoryStore(): Store {
  const client = new StrictClient();
  // It judges each put.
  return { client, keys: async () => client.store.keys(), judge: () => undefined };
}

/** Immutable objects are stored once, or again with the same bytes. */
class StrictClient extends MemoryReplicaClient {
  override async put(key: string, body: PutBody, options?: PutOptions): Promise<{ version: string }> {
    const bytes = await gatherBody(body);
    const before = this.store.objects.get(key)?.bytes;
    if (before !== undefined && key !== 'head.json' && !bytes.equals(before)) {
      throw new Error(`${key} is stored twice, with other bytes`);
    }
    return super.put(key, bytes, options);
  }
}

/** The code of the fault that ended it; null when something else did. */
function systemCodeOf(failure: unknown): string | null {
  const error = primaryError(failure);
  return systemCode(error) ?? (error instanceof Error ? systemCode(error.cause) : null);
}

interface Outcome {
  readonly files: FaultyFiles;
  readonly generations: number;
}

async function surviveFaults(options: FaultyFilesOptions, store: Store = memoryStore()): Promise<Outcome> {
  await using place = await temporaryDirectory();
  const database = place.at('replica');
  await makeTinyReplica(database);
  const whole = await readFile(join(database, NEWEST_SEGMENT));
  const half = Math.floor(whole.byteLength * 0.6);
  await writeFile(join(database, NEWEST_SEGMENT), whole.subarray(0, half));
  const { client } = store;
  const files = new FaultyFiles(diskFiles, options);
  const writer = await identifyWriter({ owner: 'game-0', version: '0.0.0' });
  const replicatorOptions: ReplicatorOptions = {
    database,
    files,
    client,
    writer,
    leaseTtlMs: 60_000,
    intervalMs: 5,
    compressionLevel: 1,
    budget: new ByteBudget(96 * 1024 * 1024),
    clock: hastyClock,
    log: silentLog,
    once: false,
  };
  const replicator = new Replicator(replicatorOptions);
  const failures: Error[] = [];
  const ended = replicator.run(never).catch((error: unknown) => {
    failures.push(error instanceof Error ? error : new Error(String(error)));
  });
  const waitFor = async (holds: () => boolean | Promise<boolean>, what: string): Promise<void> => {
    for (const until = performance.now() + WAIT_MS_MAX; !(await holds()); await delay(2)) {
      for (const failure of failures) throw failure;
      if (performance.now() > until)
        throw new Error(`waited for ${what}: ${JSON.stringify(replicator.status().lastError)}`);
    }
  };
  const isManifest = (key: string): boolean =>
    key.includes(`/snapshots/${TINY_SNAPSHOT.toString().padStart(20, '0')}/manifest`);
  await waitFor(() => (replicator.status().stored?.tx ?? -1n) >= 3n, 'the beginning of the log to be stored');
  await appendFile(join(database, NEWEST_SEGMENT), whole.subarray(half));
  await waitFor(() => replicator.status().stored?.tx === LAST_TX, 'all of the log to be stored');
  await waitFor(async () => (await store.keys()).some(isManifest), 'the snapshot to be stored');
  replicator.drain();
  await ended;
  // The last reading of all may fail too: then its end says that it cannot vouch for what came at the last moment.
  for (const failure of failures) if (systemCodeOf(failure) === null) throw failure;
  expect(files.openFiles).toBe(0);

  const target = place.at('restored');
  const signal = never;
  await restore({
    client,
    target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal,
  });
  expect((await compareRestored(await readDatabase(database), target)).differences).toEqual([]);
  store.judge();
  return { files, generations: (await store.keys()).filter((key) => key.endsWith('/generation.json')).length };
}

const s3 = await faultyS3();
const CALLS: readonly SourceCall[] = ['list', 'facts', 'open', 'file.facts', 'file.read', 'file.close'];
const EVERYDAY: readonly SystemCode[] = ['EIO', 'ENOSPC', 'EMFILE', 'EACCES'];

describe.concurrent('a call on the source that fails while the store is S3, over a bad line', () => {
  for (const failing of CALLS) {
    s3.test(`${failing}, again and again, with ${EVERYDAY.join(', ')}`, async () => {
      for (const code of EVERYDAY) {
        await using store = await s3.open({ record: true });
        await using far = await store.client('proxy');
        await using direct = await store.client('direct');
        const { client } = destinationOf(far, { giveUpAfterMs: null, clock: hastyClock, log: silentLog });
        // In any part of a run: its start, its stream, its snapshot, its end.
        const from = Math.floor(Math.random() * 5);
        let calls = 0;
        const fails: FaultyFilesOptions['fails'] = (_, call) => {
          if (call !== failing) return null;
          calls += 1;
          return calls > from && calls <= from + 3 ? code : null;
        };
        const judge = (): void => void requireSameBytesTwice(store.proxy);
        const outcome = await surviveFaults({ fails }, { client, keys: () => keysOf(direct), judge });
        expect(outcome.files.struck, `${failing} from ${from}, ${code}`).toBeGreaterThan(0);
      }
    });
  }
});

describe('a call on the source that fails', () => {
  test('without any fault: a run has this many calls, and one generation', async () => {
    const { files, generations } = await surviveFaults({ fails: () => null });
    expect(files.calls).toBeGreaterThan(50);
    expect(generations).toBe(1);
  });

  test('any call, once, with any code', async () => {
    const runs = IS_LONG ? { numRuns: 2000 } : { numRuns: 40 };
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 150 }), fc.constantFrom(...CODES), async (number, code) => {
        await surviveFaults({ fails: (now) => (now === number ? code : null) });
      }),
      runs,
    );
  }, 600_000);

  test('closing the segment that is left fails: the one that was entered is closed all the same', async () => {
    let isLeft = false;
    await surviveFaults({
      fails: (_, call, path) => {
        const isLeaving = !isLeft && call === 'file.close' && path.endsWith('00000000000000000000.stdb.log');
        isLeft ||= isLeaving;
        return isLeaving ? 'EIO' : null;
      },
    });
    expect(isLeft).toBe(true);
  });

  test('many in a row, as a disk or a full table of files does it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 150 }),
        fc.integer({ min: 2, max: 30 }),
        fc.constantFrom(...CODES),
        async (from, many, code) => {
          await surviveFaults({ fails: (now) => (now >= from && now < from + many ? code : null) });
        },
      ),
      IS_LONG ? { numRuns: 500 } : { numRuns: 15 },
    );
  }, 600_000);

  test('every tenth call', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.integer({ min: 0, max: 99 })),
        fc.constantFrom(...CODES),
        async (dice, code) => {
          await surviveFaults({ fails: (now) => (now < 400 && (dice.next().value ?? 99) < 10 ? code : null) });
        },
      ),
      IS_LONG ? { numRuns: 500 } : { numRuns: 8 },
    );
  }, 600_000);
});
