/**
 * What it costs to follow, and to wait: CPU, requests and memory of the program as it runs, to S3.
 * Promises: at most 0.5 and 1.5 CPU-seconds a minute at 200 and 2,000 commits/s; at most 70 requests a minute while
 * following and none while idle; at most 0.06 and 0.6 CPU-seconds a minute for 1 and 100 idle databases; 128 MiB.
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchStore } from './support/bench-store.ts';
import { type Bench, type BenchContext, mebibytes, type Row } from './support/bench.ts';
import { findLitestream, Litestream, writeRows } from './support/litestream.ts';
import { makeDirectory } from './support/make-directory.ts';
import { Service } from './support/service.ts';
import { writeCommits } from './support/write-commits.ts';

const SETTLE_MS = 8000;

interface Cost {
  readonly cpu: string;
  readonly requests: string;
  readonly rss: string;
}

const LITESTREAM = 'published for Litestream 0.5.18:';

/** Litestream's figures in the same run, or what is known of it. */
async function litestreamFollowing(
  { scratch, s3 }: BenchContext,
  { rate, warmUp, seconds }: { rate: number; warmUp: number; seconds: number },
): Promise<Cost> {
  const binary = await findLitestream();
  if (binary === null || s3 === null) {
    return {
      cpu: `${LITESTREAM} ${rate === 200 ? '0.50' : '2.46'} s`,
      requests: `${LITESTREAM} 90`,
      rss: `${LITESTREAM} 78 MiB`,
    };
  }
  const bucket = await s3.makeBucket();
  const database = join(await makeDirectory(scratch, 'follow-litestream'), 'db.sqlite');
  await writeRows({ database, rate: 1000, seconds: 1 });
  const databases = [{ path: database, bucket, prefix: 'db' }];
  await using litestream = await Litestream.start({ binary, scratch, s3, databases });
  await writeRows({ database, rate, seconds: warmUp });
  const cost = await costOf(s3, litestream, () => writeRows({ database, rate, seconds }));
  return { cpu: `Litestream ${cost.cpu}`, requests: `Litestream ${cost.requests}`, rss: `Litestream ${cost.rss}` };
}

/** What a process costs while something else is done, a minute. */
async function costOf(
  s3: BenchStore,
  program: Pick<Service, 'cpuSeconds' | 'peakRss'>,
  work: () => Promise<unknown>,
): Promise<Cost> {
  const mark = await s3.mark();
  const before = program.cpuSeconds();
  const began = performance.now();
  await work();
  const minutes = (performance.now() - began) / 60_000;
  const cpu = (program.cpuSeconds() - before) / minutes;
  const { requests, operations } = await s3.trafficSince(mark);
  const perMinute = (requests / minutes).toFixed(0);
  return {
    cpu: `${cpu.toFixed(2)} s`,
    requests: operations === '' ? perMinute : `${perMinute} (${operations})`,
    rss: mebibytes(program.peakRss()),
  };
}

async function followRows(context: BenchContext, rate: number): Promise<Row[]> {
  const { program, scratch, s3, quick } = context;
  if (s3 === null) return [];
  const seconds = quick ? 10 : 30;
  const warmUp = quick ? 5 : 15;
  const database = await makeDirectory(scratch, 'follow');
  await writeCommits({ database, firstTx: 0, rate: 1000, seconds: 1 });
  const databases = [{ path: database, url: s3.url(await s3.makeBucket(), 'db') }];
  await using service = await Service.start({ program, scratch, databases, env: s3.env });
  await writeCommits({ database, firstTx: 1000, rate, seconds: warmUp });
  const firstTx = 1000 + rate * warmUp;
  const cost = await costOf(s3, service, () => writeCommits({ database, firstTx, rate, seconds }));
  await service.stop();
  const litestream = await litestreamFollowing(context, { rate, warmUp, seconds });
  return [
    {
      what: `CPU a minute while following ${rate} commits/s, to S3`,
      goal: rate === 200 ? '≤ 0.5 s' : '≤ 1.5 s',
      figure: cost.cpu,
      beside: litestream.cpu,
    },
    {
      what: `requests a minute while following ${rate} commits/s`,
      goal: '≤ 70',
      figure: cost.requests,
      beside: litestream.requests,
    },
    {
      what: `peak RSS while following ${rate} commits/s`,
      goal: '≤ 128 MiB',
      figure: cost.rss,
      beside: litestream.rss,
    },
  ];
}

/** Litestream's figures in the same run, or what is known of it. */
async function litestreamIdle(
  { scratch, s3 }: BenchContext,
  { count, idleMs }: { count: number; idleMs: number },
): Promise<Cost> {
  const binary = await findLitestream();
  if (binary === null || s3 === null) {
    return { cpu: `${LITESTREAM} 0.1 to 0.8 s`, requests: `${LITESTREAM} 8 for each`, rss: '' };
  }
  const bucket = await s3.makeBucket();
  const directory = await makeDirectory(scratch, 'idle-litestream');
  const first = join(directory, '1.sqlite');
  await writeRows({ database: first, rate: 1000, seconds: 1 });
  const databases = [{ path: first, bucket, prefix: 'db-1' }];
  for (let index = 2; index <= count; index++) {
    const path = join(directory, `${index}.sqlite`);
    await cp(first, path);
    databases.push({ path, bucket, prefix: `db-${index}` });
  }
  await using litestream = await Litestream.start({ binary, scratch, s3, databases });
  await delay(SETTLE_MS);
  const { cpu, requests, rss } = await costOf(s3, litestream, () => delay(idleMs));
  return { cpu: `Litestream ${cpu} (peak RSS ${rss})`, requests: `Litestream ${requests}`, rss };
}

async function idleRows(context: BenchContext, count: number): Promise<Row[]> {
  const { program, scratch, s3, quick } = context;
  if (s3 === null) return [];
  const idleMs = quick ? 15_000 : 40_000;
  const bucket = await s3.makeBucket();
  const directory = await makeDirectory(scratch, 'idle');
  const databases: { path: string; url: string }[] = [];
  for (let index = 1; index <= count; index++) {
    const path = join(directory, String(index));
    if (index === 1) await writeCommits({ database: path, firstTx: 0, rate: 1000, seconds: 1 });
    else databases.push({ path, url: s3.url(bucket, `db-${index}`) });
  }
  const first = join(directory, '1');
  for (const { path } of databases) await cp(first, path, { recursive: true });
  databases.push({ path: first, url: s3.url(bucket, 'db-1') });
  await using service = await Service.start({ program, scratch, databases, env: s3.env });
  await delay(SETTLE_MS);
  const cost = await costOf(s3, service, () => delay(idleMs));
  await service.stop();
  const litestream = await litestreamIdle(context, { count, idleMs });
  const waiting = `idle, ${count} database${count === 1 ? '' : 's'}`;
  return [
    {
      what: `CPU a minute, ${waiting}`,
      goal: count === 1 ? '≤ 0.06 s' : '≤ 0.6 s',
      figure: `${cost.cpu} (peak RSS ${cost.rss})`,
      beside: litestream.cpu,
    },
    { what: `requests a minute, ${waiting}`, goal: '0', figure: cost.requests, beside: litestream.requests },
  ];
}

export const followBench: Bench = {
  name: 'follow',
  run: async (context) => [
    ...(await followRows(context, 200)),
    ...(await followRows(context, 2000)),
    ...(await idleRows(context, 1)),
    ...(await idleRows(context, 100)),
  ],
};
