// Invariant: what is stored is one unbroken line of commits, each stored once, whoever writes it and however it ends.
import { appendFile, cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copyVector } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { diskFiles } from '../core/readable-files.ts';
import { decodeHeadDocument, type HeadDocument } from '../layout/head-document.ts';
import { type LogObjectName, parseKey } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { readBody } from '../replica/replica-client.ts';
import { Replicator, type ReplicatorOptions } from './replicator.ts';
import { identifyWriter, type Writer } from './writer.ts';

let base = '';
let database = '';
let client: MemoryReplicaClient;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'stdb-replicator-'));
  database = join(base, 'replica');
  copyVector('v2-small', database);
  client = new MemoryReplicaClient();
});
afterEach(async () => {
  await rm(base, { recursive: true });
});

async function replicator(options: Partial<ReplicatorOptions> & { owner?: string } = {}): Promise<Replicator> {
  const writer: Writer = await identifyWriter({ owner: options.owner ?? 'game-0', version: '0.0.0' });
  return new Replicator({
    database,
    files: diskFiles,
    client,
    writer,
    leaseTtlMs: 60_000,
    intervalMs: 20,
    compressionLevel: 1,
    budget: new ByteBudget(96 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    once: true,
    ...options,
  });
}

async function runOnce(options: Parameters<typeof replicator>[0] = {}): Promise<Replicator> {
  const one = await replicator(options);
  await one.run(new AbortController().signal);
  return one;
}

/** Runs as a service until `done`, then is told to end; `kill` leaves the lease as it is. */
async function runUntil(done: (one: Replicator) => Promise<boolean> | boolean, { kill = false } = {}): Promise<void> {
  const one = await replicator({ once: false });
  const stop = new AbortController();
  const running = one.run(stop.signal);
  while (!(await done(one))) await Promise.race([systemClock.sleep(5), running]);
  if (kill) {
    stop.abort(new Error('killed'));
    await expect(running).rejects.toThrow('killed');
  } else {
    one.drain();
    await running;
  }
}

async function keys(prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of client.list(prefix)) found.push(key);
  return found;
}

const logObjects = async (): Promise<LogObjectName[]> =>
  (await keys('generations/')).flatMap((key) => {
    const parsed = parseKey(key);
    return parsed?.kind === 'log' ? [parsed.name] : [];
  });

const head = async (): Promise<HeadDocument> =>
  decodeHeadDocument(await readBody(await client.get('head.json'), 65536));

const lastSegment = (): string => join(database, 'clog', '00000000000000000147.stdb.log');

/** Takes the last segment's commits away, and gives back what gives them again in parts. */
async function emptyLastSegment(): Promise<(until: number) => Promise<void>> {
  const bytes = await readFile(lastSegment());
  let at = 5_000;
  await writeFile(lastSegment(), bytes.subarray(0, at));
  return async (part) => {
    const until = Math.floor(bytes.byteLength * part);
    await appendFile(lastSegment(), bytes.subarray(at, until));
    at = until;
  };
}

/** The commits of all log objects, each transaction once. */
function expectEachOnce(objects: readonly LogObjectName[], last: bigint): void {
  const sorted = [...objects].sort((a, b) => (a.first < b.first ? -1 : 1));
  let next = 0n;
  for (const object of sorted) {
    expect(object.first).toBe(next);
    next = object.last + 1n;
  }
  expect(next - 1n).toBe(last);
}

describe('starting', () => {
  test('first: everything, the newest snapshot, a released head with the exact position', async () => {
    const one = await runOnce();
    expectEachOnce(await logObjects(), 299n);
    expect((await keys()).filter((key) => key.endsWith('manifest.ndjson.zst'))).toHaveLength(1);
    expect(await head()).toMatchObject({ released: true, owner: 'game-0', position: { tx: 299n, segment: 147n } });
    expect(one.status()).toMatchObject({
      state: 'stopped',
      stored: { tx: 299n },
      newestSnapshot: 180n,
      lastError: null,
    });
  });

  test('continue: the same generation, nothing sent again', async () => {
    const grow = await emptyLastSegment();
    await runOnce();
    const before = await keys();
    await grow(1);
    await runOnce();
    const after = await keys();
    expect(after.filter((key) => key.endsWith('generation.json'))).toHaveLength(1);
    expect(after.filter((key) => !before.includes(key) && key.includes('/log/'))).toHaveLength(1);
    expectEachOnce(await logObjects(), 299n);
  });

  test('takeover: a killed process’s successor writes a child generation and sends nothing again', async () => {
    const grow = await emptyLastSegment();
    await runUntil((one) => (one.status().stored?.tx ?? 0n) > 146n, { kill: true });
    await grow(1);
    await pretendHolderDied();
    await runOnce();
    const generations = (await keys()).filter((key) => key.endsWith('generation.json'));
    expect(generations).toHaveLength(2);
    expectEachOnce(await logObjects(), 299n);
    expect((await head()).generation.startsWith('00000002-')).toBe(true);
    expect((await keys()).filter((key) => key.endsWith('manifest.ndjson.zst')).length).toBeLessThanOrEqual(2);
  });

  test('a lease that may be alive is waited for through its ttl, then taken', async () => {
    await runUntil((one) => one.status().stored?.tx === 299n, { kill: true });
    await pretendHolderDied({ ttlMs: 50, bootId: null });
    await runOnce();
    expect((await head()).generation.startsWith('00000002-')).toBe(true);
  });

  test('another owner’s head is never taken, released or not', async () => {
    await runOnce();
    const before = await keys();
    await expect(runOnce({ owner: 'staging' })).rejects.toMatchObject({ code: 'LEASE_HELD', exitCode: 11 });
    expect(await keys()).toEqual(before);
  });

  test('a log that was pruned up to what is stored is gone on with', async () => {
    const grow = await emptyLastSegment();
    await rename(lastSegment(), `${lastSegment()}.away`);
    await runOnce();
    await rename(`${lastSegment()}.away`, lastSegment());
    await grow(1);
    await rm(join(database, 'clog', '00000000000000000000.stdb.log'));
    // The log now starts at 147 and 146 is stored: it joins.
    await runOnce();
    expectEachOnce(await logObjects(), 299n);
  });

  test('a log above 0 without a snapshot has no base', async () => {
    await rm(join(database, 'clog', '00000000000000000000.stdb.log'));
    await rm(join(database, 'snapshots'), { recursive: true });
    await expect(runOnce()).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
    expect(await keys()).toEqual([]);
  });

  test('a log above 0 with a snapshot begins there', async () => {
    await rm(join(database, 'clog', '00000000000000000000.stdb.log'));
    await runOnce();
    const [only] = await logObjects();
    expect(only).toMatchObject({ first: 147n, last: 299n, prev: 0 });
    expect((await keys()).some((key) => key.includes('/snapshots/00000000000000000180/'))).toBe(true);
  });

  test('once without a log is a mistake; a service waits for it', async () => {
    await rename(join(database, 'clog'), join(base, 'clog'));
    await expect(runOnce()).rejects.toMatchObject({ code: 'CONFIGURATION', exitCode: 2 });
    const one = await replicator({ once: false });
    const running = one.run(new AbortController().signal);
    expect(one.status().state).toBe('waiting');
    await rename(join(base, 'clog'), join(database, 'clog'));
    while (one.status().stored?.tx !== 299n) await systemClock.sleep(5);
    one.drain();
    await running;
  });
});

describe('streaming', () => {
  test('a growing log goes out as it grows, and a drain stores the rest', async () => {
    const grow = await emptyLastSegment();
    let part = 0.2;
    await runUntil(async (one) => {
      const { stored, local } = one.status();
      if (stored === null || stored.tx !== local?.tx) return false;
      part += 0.1;
      await grow(Math.min(part, 1));
      return part > 1;
    });
    expectEachOnce(await logObjects(), 299n);
    expect((await logObjects()).length).toBeGreaterThan(2);
    expect(await head()).toMatchObject({ released: true, position: { tx: 299n } });
  });

  test('regression: what is appended while an object is sent waits for the next one, so that load makes no more objects', async () => {
    const grow = await emptyLastSegment();
    const put = client.put.bind(client);
    let parts = 0;
    client.put = async (key, ...rest) => {
      if (key.includes('/log/')) await grow(0.5 + (parts += 1) / 100);
      return put(key, ...rest);
    };
    await runOnce();
    // One of each segment.
    expect(await logObjects()).toHaveLength(2);
    await grow(1);
    client.put = put;
    await runOnce();
    expectEachOnce(await logObjects(), 299n);
  });

  test('a snapshot is stored only after the commit that it is of', async () => {
    const grow = await emptyLastSegment();
    await runUntil((one) => (one.status().stored?.tx ?? 0n) > 146n);
    const manifests = (await keys()).filter((key) => key.endsWith('manifest.ndjson.zst'));
    expect(manifests.filter((key) => key.includes('0180/'))).toEqual([]);
    await grow(1);
    await runOnce();
    expect((await keys()).filter((key) => key.includes('/00000000000000000180/manifest'))).toHaveLength(1);
  });

  test('regression: a snapshot that the log never reaches does not keep an older one from being stored', async () => {
    await writeFile(lastSegment(), (await readFile(lastSegment())).subarray(0, 5_000));
    const one = await runOnce();
    expect(one.status().newestSnapshot).toBe(1n);
  });

  test('objects that a snapshot shares with the one before are not stored again', async () => {
    const newest = join(database, 'snapshots', '00000000000000000180.snapshot_dir');
    await rename(newest, join(base, 'newest'));
    const first = await runOnce();
    expect(first.status().newestSnapshot).toBe(1n);
    await rename(join(base, 'newest'), newest);
    const objects = await readdir(join(newest, 'objects'), { recursive: true });
    expect(objects.length).toBeGreaterThan(10);
    const second = await runOnce();
    expect(second.status().counters).toMatchObject({ snapshots: 1, packs: 1, logObjects: 0 });
    expect(second.status().counters.packBytesStored).toBeLessThan(first.status().counters.packBytesStored * 2);
  });

  test('a damaged snapshot object is never stored, and the log goes on', async () => {
    const directory = join(database, 'snapshots', '00000000000000000180.snapshot_dir');
    await rm(join(database, 'snapshots', '00000000000000000001.snapshot_dir'), { recursive: true });
    const [some = ''] = (await readdir(join(directory, 'objects'), { recursive: true })).filter(
      (name) => name.length > 60,
    );
    const path = join(directory, 'objects', some);
    const bytes = await readFile(path);
    bytes[40] = 255 - (bytes[40] ?? 0);
    await rm(path);
    await writeFile(path, bytes);
    const one = await replicator();
    // All else is stored and handed over, and the exit code does not say that all was.
    await expect(one.run(new AbortController().signal)).rejects.toMatchObject({ code: 'CORRUPTION', exitCode: 14 });
    expect((await head()).released).toBe(true);
    expect(one.status()).toMatchObject({ stored: { tx: 299n }, newestSnapshot: null });
    expect((await keys()).filter((key) => key.endsWith('manifest.ndjson.zst'))).toEqual([]);
  });

  test('a writer that lost its head stops, fenced, and stores nothing more', async () => {
    const grow = await emptyLastSegment();
    const one = await replicator({ once: false, leaseTtlMs: 2 });
    const running = one.run(new AbortController().signal);
    while ((one.status().stored?.tx ?? 0n) < 147n) await systemClock.sleep(5);
    await client.put('head.json', Buffer.from('{}'));
    const failed = expect(running).rejects.toMatchObject({ exitCode: expect.any(Number) as number });
    await grow(1);
    await failed;
    expect(one.status().state).toBe('stopped');
    expect((await logObjects()).every(({ last }) => last < 299n)).toBe(true);
  });
});

/** Writes the head anew as held by a process of this machine that is no more. */
async function pretendHolderDied(change: { ttlMs?: number; bootId?: string | null } = {}): Promise<void> {
  const { encodeHeadDocument } = await import('../layout/head-document.ts');
  const document = await head();
  const { ttlMs = document.ttlMs, bootId = document.process.bootId } = change;
  const process = { ...document.process, bootId, pid: 2 ** 22 + 1, startTime: '1' };
  await client.put('head.json', encodeHeadDocument({ ...document, ttlMs, process }));
}

test('the source is only read', async () => {
  await cp(database, join(base, 'copy'), { recursive: true, preserveTimestamps: true });
  await runOnce();
  const names = async (of: string): Promise<string[]> => (await readdir(of, { recursive: true })).sort();
  expect(await names(database)).toEqual(await names(join(base, 'copy')));
});
