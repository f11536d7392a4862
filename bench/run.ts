/**
 * `npm run bench`: measures what is promised, and prints one table. A run takes up to ten minutes; `-quick` up to two;
 * `-large` also restores 4 GiB, for which there must be 16 GiB of disk.
 *
 *     node bench/run.ts [-quick | -large] [--only NAME,NAME] [--program dist/bin.js]
 *
 * S3 is versitygw on loopback, from PATH or STDB_TEST_VERSITYGW. restic, rclone and Litestream are measured where they
 * are on PATH (Litestream also where STDB_BENCH_LITESTREAM names it).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { captureBench } from './capture.bench.ts';
import { benchCommitScan } from './commit-scan.bench.ts';
import { firstCopyBench } from './first-copy.bench.ts';
import { followBench } from './follow.bench.ts';
import { lagBench } from './lag.bench.ts';
import { restoreBench } from './restore.bench.ts';
import { startBench } from './start.bench.ts';
import { startBenchStore } from './support/bench-store.ts';
import type { Bench, Row } from './support/bench.ts';

const commitScanBench: Bench = {
  name: 'commit-scan',
  run: async () =>
    (await benchCommitScan()).map(({ name, value, unit }) => ({
      what: name,
      goal: '≥ 1000 MB/s',
      figure: `${value} ${unit}`,
      beside: '–',
    })),
};

const BENCHES: readonly Bench[] = [
  commitScanBench,
  captureBench,
  firstCopyBench,
  restoreBench,
  startBench,
  lagBench,
  followBench,
];

function formatTable(rows: readonly Row[]): string {
  const lines = rows.map(({ what, goal, figure, beside }) => `| ${what} | ${goal} | ${figure} | ${beside} |`);
  return ['| what | goal | figure | beside it |', '|---|---|---|---|', ...lines].join('\n');
}

const { values } = parseArgs({
  args: process.argv.slice(2).map((argument) => (['-quick', '-large'].includes(argument) ? `-${argument}` : argument)),
  options: {
    quick: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    only: { type: 'string' },
    program: { type: 'string', default: 'dist/bin.js' },
  },
});

const only = values.only?.split(',') ?? null;
const unknown = (only ?? []).filter((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown.length > 0) {
  throw new Error(`no bench ${unknown.join(', ')}; there are ${BENCHES.map(({ name }) => name).join(', ')}`);
}
const scratch = await mkdtemp(join(tmpdir(), 'stdb-bench-'));
const s3 = await startBenchStore(scratch);
const say = (line: string): void => void process.stderr.write(`${line}\n`);
if (s3 === null) say('versitygw is neither on PATH nor named by STDB_TEST_VERSITYGW: what needs S3 is left out');
const rows: Row[] = [];
const failures: string[] = [];
try {
  for (const { name, run } of BENCHES) {
    if (only !== null && !only.includes(name)) continue;
    const began = performance.now();
    try {
      const found = await run({
        quick: values.quick,
        large: values.large,
        program: resolve(values.program),
        scratch,
        s3,
        say,
      });
      rows.push(...found);
      say(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
      for (const { what, figure, beside } of found) say(`  ${what}: ${figure}   [${beside}]`);
    } catch (error) {
      failures.push(name);
      say(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
} finally {
  await s3?.stop();
  await rm(scratch, { recursive: true, force: true });
}
console.log(formatTable(rows));
if (failures.length > 0) {
  say(`failed: ${failures.join(', ')}`);
  process.exitCode = 1;
}
