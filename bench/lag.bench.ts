/**
 * Lag: from a commit's bytes in the file to the store's answer for the object that holds it, by the program as it runs,
 * to S3. Promises: under steady load at most the interval and 0.05 s; the last commit of a call after a pause p99 at most
 * 0.06 s.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseKey } from '../src/layout/keys.ts';
import { type Bench, type BenchContext, milliseconds, percentile, type Row } from './support/bench.ts';
import type { WriterReport } from './support/commit-writer.ts';
import { findLitestream, Litestream, LtxWatch, writeRows } from './support/litestream.ts';
import { makeDirectory } from './support/make-directory.ts';
import { type LogLine, Service } from './support/service.ts';
import { writeCommits } from './support/write-commits.ts';

/** The start, when code is still being compiled, is no steady load. */
const WARM_UP_MS = 3000;
const CALL_COMMITS = 3;

/** For each commit after `since` its lag in milliseconds, NaN where no stored object holds it. */
function lagsOf({ firstTx, times }: WriterReport, lines: readonly LogLine[]): number[] {
  const lags = times.map(() => Number.NaN);
  for (const { msg, key, time } of lines) {
    if (msg !== 'stored' || typeof key !== 'string') continue;
    const parsed = parseKey(key);
    if (parsed?.kind !== 'log') continue;
    const acknowledged = Date.parse(time);
    for (let index = Number(parsed.name.first) - firstTx; index <= Number(parsed.name.last) - firstTx; index++) {
      const written = times[index];
      if (written !== undefined) lags[index] = acknowledged - written;
    }
  }
  return lags;
}

async function follow(
  { program, scratch, s3 }: BenchContext,
  {
    intervalMs,
    order,
  }: { intervalMs: number; order: { rate?: number; seconds?: number; calls?: number; pauseMs?: number } },
): Promise<{ lags: number[]; report: WriterReport }> {
  if (s3 === null) throw new Error('no S3 server');
  const database = await makeDirectory(scratch, 'lag');
  await writeCommits({ database, firstTx: 0, rate: 1000, seconds: 1 });
  const url = s3.url(await s3.makeBucket(), 'db');
  const databases = [{ path: database, url }];
  await using service = await Service.start({
    program,
    scratch,
    databases,
    intervalMs,
    logLevel: 'debug',
    env: s3.env,
  });
  await delay(2000);
  const report = await writeCommits({ database, firstTx: 1000, ...order });
  await delay(intervalMs + 500);
  await service.stop();
  const lags = lagsOf(report, service.lines);
  const lost = lags.filter(Number.isNaN).length;
  if (lost > 0) throw new Error(`${lost} of ${lags.length} commits were not stored`);
  return { lags, report };
}

/** Lags of the steady part, as a table has them. */
function describe({ lags, times }: { lags: readonly number[]; times: readonly number[] }): string {
  const [begin = 0] = times;
  const steady = lags.filter((_, index) => (times[index] ?? 0) - begin > WARM_UP_MS);
  const parts = [percentile(steady, 0.5), percentile(steady, 0.99), Math.max(...steady)].map(milliseconds);
  return `p50 ${parts[0]}, p99 ${parts[1]}, max ${parts[2]}`;
}

/** Litestream's in the same run, or what is known of it. */
async function besideIt({ scratch, s3 }: BenchContext, order: { rate: number; seconds: number; intervalMs: number }) {
  const { intervalMs } = order;
  const binary = await findLitestream();
  if (binary === null || s3 === null) {
    return `published for Litestream 0.5.18: ${intervalMs === 1000 ? 'p50 520 ms, p99 1000 ms' : 'p99 110 ms'}`;
  }
  const bucket = await s3.makeBucket();
  const path = join(await makeDirectory(scratch, 'lag-litestream'), 'db.sqlite');
  await writeRows({ database: path, rate: 1000, seconds: 1 });
  await using _litestream = await Litestream.start({
    binary,
    scratch,
    s3,
    databases: [{ path, bucket, prefix: 'db' }],
    intervalMs,
  });
  await delay(2000);
  using watch = new LtxWatch(s3.directory(bucket));
  const { times } = await writeRows({ database: path, ...order });
  await delay(intervalMs + 1500);
  return `Litestream ${describe({ lags: watch.lagsOf(times), times })}`;
}

async function steadyRow(context: BenchContext, rate: number, intervalMs: number): Promise<Row> {
  const seconds = context.quick ? 8 : 20;
  const { lags, report } = await follow(context, { intervalMs, order: { rate, seconds } });
  return {
    what: `lag at ${rate} commits/s, interval ${intervalMs} ms, to S3`,
    goal: intervalMs === 1000 ? 'p99 ≤ 1050 ms' : 'p99 ≤ 150 ms',
    figure: describe({ lags, times: report.times }),
    beside: await besideIt(context, { rate, seconds, intervalMs }),
  };
}

async function loneCallRow(context: BenchContext): Promise<Row> {
  const calls = context.quick ? 8 : 40;
  const { lags } = await follow(context, { intervalMs: 1000, order: { calls, pauseMs: 1200 } });
  const lastOfCall = lags.filter((_, index) => index % CALL_COMMITS === CALL_COMMITS - 1);
  return {
    what: `lag of the last commit of a call after a pause, ${calls} calls, interval 1 s, to S3`,
    goal: 'p99 ≤ 60 ms',
    figure: `p50 ${milliseconds(percentile(lastOfCall, 0.5))}, p99 ${milliseconds(percentile(lastOfCall, 0.99))}`,
    beside: '–',
  };
}

export const lagBench: Bench = {
  name: 'lag',
  async run(context) {
    const rows: Row[] = [];
    for (const intervalMs of [1000, 100]) {
      for (const rate of [200, 2000]) rows.push(await steadyRow(context, rate, intervalMs));
    }
    rows.push(await loneCallRow(context));
    return rows;
  },
};
