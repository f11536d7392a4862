/**
 * A whole restore, verified and fsynced: plain bytes a second and for each CPU-second, and memory, beside restic and
 * Litestream, beside plain GETs of the same objects, and beside writing and syncing as many bytes; and the time from the
 * start of the program to the first byte of the database on the disk. Promises: the lesser of 1.2 × restic and 60 % of the
 * disk; 200 MB for each CPU-second; 200 MiB.
 */
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openReplicaClient } from '../src/replica/registry.ts';
import { CLOG_DIR } from '../src/spacetimedb/file-names.ts';
import { type Bench, type BenchContext, mebibytes, MIB, rate, type Row, seconds } from './support/bench.ts';
import { bigDatabase, type BigDatabase, makeDatabase, replicateOnce } from './support/big-database.ts';
import { findLitestream, litestreamOnce, litestreamRestore, writeRows } from './support/litestream.ts';
import { makeDirectory } from './support/make-directory.ts';
import { openPeers } from './support/peers.ts';
import { type CommandCost, runCommand } from './support/run-command.ts';

const GETS_AT_ONCE = 4;

const LOOK_MS = 10;

interface RestoreCost extends CommandCost {
  /** Until the first byte of the database lay on the disk; to within what it takes to look. */
  readonly firstByteSeconds: number;
}

async function restore(
  { program, scratch, s3 }: BenchContext,
  database: BigDatabase,
  url: string,
): Promise<RestoreCost> {
  const parent = await makeDirectory(scratch, 'restored');
  const target = join(parent, 'db');
  const stop = new AbortController();
  const firstByte = secondsToFirstByte(parent, stop.signal);
  const cost = await runCommand([process.execPath, program, 'restore', '-o', target, url], { env: { ...s3?.env } });
  stop.abort();
  // Only what is right may be quick.
  await runCommand(['diff', '-r', '-x', '*.ofs', join(database.path, CLOG_DIR), join(target, CLOG_DIR)]);
  await rm(target, { recursive: true, force: true });
  return { ...cost, firstByteSeconds: await firstByte };
}

/** Looks for a file with content in the staging directory, again and again. */
async function secondsToFirstByte(parent: string, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  while (!signal.aborted && !(await holdsContent(parent))) await setTimeout(LOOK_MS);
  return (performance.now() - start) / 1000;
}

async function holdsContent(parent: string): Promise<boolean> {
  for (const name of await readdir(parent, { recursive: true })) {
    if (!name.includes('/content/')) continue;
    // What was there a moment ago may have been renamed since.
    const facts = await stat(join(parent, name)).catch(() => null);
    if (facts?.isFile() === true && facts.size > 0) return true;
  }
  return false;
}

/** Seconds that it takes to get all that lies at `url`, a few objects at once, and to throw it away. */
async function plainGets(url: string, env: Readonly<Record<string, string | undefined>>): Promise<number> {
  Object.assign(process.env, env);
  await using client = await openReplicaClient(url, { requestTimeoutMs: 60_000 });
  const keys: string[] = [];
  for await (const { key } of client.list('')) keys.push(key);
  const start = performance.now();
  const worker = async (): Promise<void> => {
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
      const { body } = await client.get(key);
      for await (const _ of body);
    }
  };
  await Promise.all(Array.from({ length: GETS_AT_ONCE }, worker));
  return (performance.now() - start) / 1000;
}

/** Seconds that it takes to write and sync `bytes` of one file. */
async function writeAndSync(scratch: string, bytes: number): Promise<number> {
  const path = join(scratch, 'written');
  const part = Buffer.alloc(MIB, 'stdb');
  const start = performance.now();
  {
    await using file = await open(path, 'w');
    for (let done = 0; done < bytes; done += part.byteLength) await file.writeFile(part);
    await file.sync();
  }
  const took = (performance.now() - start) / 1000;
  await rm(path);
  return took;
}

const describe = ({ plainBytes }: BigDatabase, { seconds: time, cpuSeconds, peakRss }: CommandCost): string =>
  `${rate(plainBytes, time)}, ${rate(plainBytes, cpuSeconds).replace('/s', '')} for each CPU-s, ${mebibytes(peakRss)} (${seconds(time)})`;

const describeRestore = (database: BigDatabase, cost: RestoreCost): string =>
  `${describe(database, cost)}, first byte after ${seconds(cost.firstByteSeconds)}`;

/** Litestream's restore of an SQLite database as large, in the same run; null where it is not at hand. */
async function litestreamRestored({ s3, scratch }: BenchContext, database: BigDatabase): Promise<string | null> {
  const binary = await findLitestream();
  if (binary === null || s3 === null) return null;
  const directory = await makeDirectory(scratch, 'litestream');
  const path = join(directory, 'db.sqlite');
  await writeRows({ database: path, bytes: database.plainBytes });
  const setting = { binary, scratch, s3, databases: [{ path, bucket: await s3.makeBucket(), prefix: 'db' }] };
  await litestreamOnce(setting);
  const cost = await litestreamRestore(setting, join(directory, 'restored.sqlite'));
  await rm(directory, { recursive: true, force: true });
  return `Litestream ${describe(database, cost)}`;
}

async function besideIt(context: BenchContext, database: BigDatabase, url: string): Promise<string> {
  const { s3, scratch } = context;
  const { plainBytes } = database;
  const parts: string[] = [];
  if (s3 !== null) {
    parts.push(`plain GETs ${rate(plainBytes, await plainGets(url, s3.env))} of plain bytes`);
    const restic = (await openPeers(s3, scratch)).find(({ name }) => name === 'restic');
    if (restic !== undefined) {
      await restic.copy(database.path);
      const target = await makeDirectory(scratch, 'restic-restored');
      parts.push(`restic ${describe(database, await restic.restore(target))}`);
      await rm(target, { recursive: true, force: true });
    }
  }
  const litestream = await litestreamRestored(context, database);
  if (litestream !== null) parts.push(litestream);
  parts.push(`disk write+fsync ${rate(plainBytes, await writeAndSync(scratch, plainBytes))}`);
  return parts.join('; ');
}

async function run(context: BenchContext): Promise<Row[]> {
  const { s3, scratch, quick, large } = context;
  const rows: Row[] = [];
  const urlOf = async (): Promise<string> =>
    s3 === null ? `file://${await makeDirectory(scratch, 'copy')}` : s3.url(await s3.makeBucket(), 'db');
  const database = await bigDatabase(context);
  const url = await urlOf();
  await replicateOnce(context, { database: database.path, url });
  rows.push({
    what: `restore from ${s3 === null ? 'file' : 'S3'}: ${database.description}`,
    goal: 'the lesser of 1.2 × restic and 60 % of the disk; ≥ 200 MB for each CPU-s; ≤ 200 MiB',
    figure: describeRestore(database, await restore(context, database, url)),
    beside: await besideIt(context, database, url),
  });
  if (s3 !== null) {
    const fileUrl = `file://${await makeDirectory(scratch, 'copy')}`;
    await replicateOnce(context, { database: database.path, url: fileUrl });
    rows.push({
      what: `restore from file: ${database.description}`,
      goal: '–',
      figure: describeRestore(database, await restore(context, database, fileUrl)),
      beside: '–',
    });
  }
  for (const mebi of quick ? [100] : [256, 1024, ...(large ? [4096] : [])]) {
    const sized = await makeDatabase(scratch, { logBytes: mebi * MIB, objects: 0 });
    const sizedUrl = await urlOf();
    const copied = await replicateOnce(context, { database: sized.path, url: sizedUrl });
    const restored = await restore(context, sized, sizedUrl);
    await rm(sized.path, { recursive: true, force: true });
    rows.push({
      what: `peak RSS for a log of ${mebi} MiB`,
      goal: 'following ≤ 128 MiB, restoring ≤ 200 MiB',
      figure: `first copy ${mebibytes(copied.peakRss)}, restore ${mebibytes(restored.peakRss)}`,
      beside: 'published for Litestream 0.5.18: 78 and 163 MiB',
    });
  }
  return rows;
}

export const restoreBench: Bench = { name: 'restore', run };
