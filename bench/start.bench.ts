/**
 * What a start asks of the store: at most 4 requests to continue, at most 6 into a new generation; and after SIGKILL only
 * the unacknowledged tail is sent.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, type BenchContext, type Row } from './support/bench.ts';
import { findLitestream, Litestream, writeRows } from './support/litestream.ts';
import { makeDirectory } from './support/make-directory.ts';
import { runCommand } from './support/run-command.ts';
import { Service } from './support/service.ts';
import { writeCommits } from './support/write-commits.ts';

/** `replicate -once` ends by handing over: one request that is not of the start. */
const RELEASE_REQUESTS = 1;

/** What Litestream is given for its start: it goes on asking afterwards, as it does when it is idle. */
const LITESTREAM_START_MS = 4000;

interface Starts {
  readonly continued: string;
  readonly killed: string;
  readonly bytes: string;
}

/** The same scene with Litestream, in the same run; or what is known of it. */
async function litestreamStarts({ scratch, s3 }: BenchContext): Promise<Starts> {
  const binary = await findLitestream();
  if (binary === null || s3 === null) {
    const published = 'published for Litestream 0.5.18:';
    return {
      continued: `${published} 17 to 20`,
      killed: `${published} 17 to 20`,
      bytes: `${published} the whole database again`,
    };
  }
  const bucket = await s3.makeBucket();
  const database = join(await makeDirectory(scratch, 'start-litestream'), 'db.sqlite');
  await writeRows({ database, rate: 2000, seconds: 3 });
  const setting = { binary, scratch, s3, databases: [{ path: database, bucket, prefix: 'db' }] };
  {
    await using litestream = await Litestream.start(setting);
    await delay(LITESTREAM_START_MS);
    await litestream.end('SIGTERM');
  }
  const atContinue = await s3.mark();
  await using first = await Litestream.start(setting);
  await delay(LITESTREAM_START_MS);
  const continued = await s3.trafficSince(atContinue);
  await writeRows({ database, rate: 2000, seconds: 2 });
  await delay(1500);
  await first.end('SIGKILL');
  await writeRows({ database, rate: 20, seconds: 1 });
  const atKilled = await s3.mark();
  await using _second = await Litestream.start(setting);
  await delay(LITESTREAM_START_MS);
  const killed = await s3.trafficSince(atKilled);
  const within = `in the first ${LITESTREAM_START_MS / 1000} s`;
  return {
    continued: `Litestream ${continued.requests} ${within}`,
    killed: `Litestream ${killed.requests} ${within}`,
    bytes: `Litestream ${(killed.bytesPut / 1000).toFixed(1)} kB`,
  };
}

async function startRows(context: BenchContext): Promise<Row[]> {
  const { program, scratch, s3 } = context;
  if (s3 === null) return [];
  const { env } = s3;
  const database = await makeDirectory(scratch, 'start');
  await writeCommits({ database, firstTx: 0, rate: 2000, seconds: 3 });
  const url = s3.url(await s3.makeBucket(), 'db');
  const databases = [{ path: database, url }];
  const once = [process.execPath, program, 'replicate', '-once', database, url];
  const owned = { ...env, STDB_REPLICATE_OWNER: 'bench' };
  await runCommand(once, { env: owned });

  const atContinue = await s3.mark();
  await runCommand(once, { env: owned });
  const continued = await s3.trafficSince(atContinue);

  const service = await Service.start({ program, scratch, databases, env });
  await writeCommits({ database, firstTx: 6000, rate: 2000, seconds: 2 });
  await delay(1500);
  await service.kill();
  await writeCommits({ database, firstTx: 10_000, rate: 20, seconds: 1 });
  const atTakeover = await s3.mark();
  await runCommand(once, { env: owned });
  const taken = await s3.trafficSince(atTakeover);
  const litestream = await litestreamStarts(context);
  return [
    {
      what: 'requests at start, continuing after a release',
      goal: '≤ 4',
      figure: `${continued.requests - RELEASE_REQUESTS} (${continued.operations}, one of them the release)`,
      beside: litestream.continued,
    },
    {
      what: 'requests at start into a new generation, after SIGKILL',
      goal: '≤ 6',
      figure: `${taken.requests - RELEASE_REQUESTS - 1} (${taken.operations}, of them one log object and the release)`,
      beside: litestream.killed,
    },
    {
      what: 'bytes sent after SIGKILL and restart, with 20 new commits (8.6 kB) in a log of 4.3 MB',
      goal: 'only the unacknowledged tail',
      figure: `${(taken.bytesPut / 1000).toFixed(1)} kB, documents included`,
      beside: litestream.bytes,
    },
  ];
}

export const startBench: Bench = { name: 'start', run: startRows };
