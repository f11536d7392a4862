/**
 * What it costs to follow, and to wait: CPU, requests and memory of the program as it runs, to S3.
 * Promises: at most 0.5 and 1.5 CPU-seconds a minute at 200 and 2,000 commits/s; at most 70 requests a minute while
 * following and none while idle; at most 0.06 and 0.6 CPU-seconds a minute for 1 and 100 idle databases; 128 MiB.
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, type BenchContext, mebibytes, type Row } from './support/bench.ts';
import { makeDirectory } from './support/make-directory.ts';
import { Service } from './support/service.ts';
import { writeCommits } from './support/write-commits.ts';

const SETTLE_MS = 8000;

async function followRows({ program, scratch, s3, quick }: BenchContext, rate: number): Promise<Row[]> {
  if (s3 === null) return [];
  const seconds = quick ? 10 : 30;
  const database = await makeDirectory(scratch, 'follow');
  await writeCommits({ database, firstTx: 0, rate: 1000, seconds: 1 });
  const databases = [{ path: database, url: s3.url(await s3.makeBucket(), 'db') }];
  await using service = await Service.start({ program, scratch, databases, env: s3.env });
  const warmUp = quick ? 5 : 15;
  await writeCommits({ database, firstTx: 1000, rate, seconds: warmUp });
  const mark = await s3.mark();
  const before = service.cpuSeconds();
  const began = performance.now();
  await writeCommits({ database, firstTx: 1000 + rate * warmUp, rate, seconds });
  const minutes = (performance.now() - began) / 60_000;
  const cpu = (service.cpuSeconds() - before) / minutes;
  const { requests, operations } = await s3.trafficSince(mark);
  const rss = service.peakRss();
  await service.stop();
  return [
    {
      what: `CPU a minute while following ${rate} commits/s, to S3`,
      goal: rate === 200 ? '≤ 0.5 s' : '≤ 1.5 s',
      figure: `${cpu.toFixed(2)} s`,
      beside: `published for Litestream 0.5.18: ${rate === 200 ? '0.50' : '2.46'} s`,
    },
    {
      what: `requests a minute while following ${rate} commits/s`,
      goal: '≤ 70',
      figure: `${(requests / minutes).toFixed(0)} (${operations})`,
      beside: 'published for Litestream 0.5.18: 90',
    },
    { what: `peak RSS while following ${rate} commits/s`, goal: '≤ 128 MiB', figure: mebibytes(rss), beside: '78 MiB' },
  ];
}

async function idleRows({ program, scratch, s3, quick }: BenchContext, count: number): Promise<Row[]> {
  if (s3 === null) return [];
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
  const mark = await s3.mark();
  const before = service.cpuSeconds();
  const began = performance.now();
  await delay(quick ? 15_000 : 40_000);
  const minutes = (performance.now() - began) / 60_000;
  const cpu = (service.cpuSeconds() - before) / minutes;
  const { requests } = await s3.trafficSince(mark);
  const rss = service.peakRss();
  await service.stop();
  return [
    {
      what: `CPU a minute, idle, ${count} database${count === 1 ? '' : 's'}`,
      goal: count === 1 ? '≤ 0.06 s' : '≤ 0.6 s',
      figure: `${cpu.toFixed(2)} s (peak RSS ${mebibytes(rss)})`,
      beside: 'published for Litestream 0.5.18: 0.1 to 0.8 s',
    },
    {
      what: `requests a minute, idle, ${count} database${count === 1 ? '' : 's'}`,
      goal: '0',
      figure: `${(requests / minutes).toFixed(0)}`,
      beside: 'published for Litestream 0.5.18: 8 for each',
    },
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
