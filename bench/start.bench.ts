/**
 * What a start asks of the store: at most 4 requests to continue, at most 6 into a new generation; and after SIGKILL only
 * the unacknowledged tail is sent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bench, type BenchContext, type Row } from './support/bench.ts';
import { makeDirectory } from './support/make-directory.ts';
import { runCommand } from './support/run-command.ts';
import { Service } from './support/service.ts';
import { writeCommits } from './support/write-commits.ts';

/** `replicate -once` ends by handing over: one request that is not of the start. */
const RELEASE_REQUESTS = 1;

async function startRows({ program, scratch, s3 }: BenchContext): Promise<Row[]> {
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
  return [
    {
      what: 'requests at start, continuing after a release',
      goal: '≤ 4',
      figure: `${continued.requests - RELEASE_REQUESTS} (${continued.operations}, one of them the release)`,
      beside: 'published for Litestream 0.5.18: 17 to 20',
    },
    {
      what: 'requests at start into a new generation, after SIGKILL',
      goal: '≤ 6',
      figure: `${taken.requests - RELEASE_REQUESTS - 1} (${taken.operations}, of them one log object and the release)`,
      beside: 'published for Litestream 0.5.18: 17 to 20',
    },
    {
      what: 'bytes sent after SIGKILL and restart, with 20 new commits (8.6 kB) in a log of 4.3 MB',
      goal: 'only the unacknowledged tail',
      figure: `${(taken.bytesPut / 1000).toFixed(1)} kB, documents included`,
      beside: 'published for Litestream 0.5.18: the whole database again',
    },
  ];
}

export const startBench: Bench = { name: 'start', run: startRows };
