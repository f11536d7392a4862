/**
 * The soak: `npm run soak -- --minutes N [--seed S] [--rate R]`. Exit 0 when every comparison held, 1 with the seed and
 * the kept directory when one did not, 2 on wrong words or without an S3 server, 130 when it was interrupted.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../sim/random.ts';
import { runCycle } from './cycle.ts';
import { Disturbances } from './disturbances.ts';
import { parseOptions, type SoakOptions } from './options.ts';
import { MissingServerError, Scene } from './scene.ts';
import { hasOracle } from './soak-writer.ts';
import { mebibytes, seconds, Tally } from './tally.ts';

const options = wordsOrEnd();
const random = new Random(options.seed);
const interruption = new AbortController();
const { signal } = interruption;
const tally = new Tally(signal);
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort());
const root = await mkdtemp(join(tmpdir(), 'stdb-soak-'));
const begin = performance.now();
const elapsed = (): number => (performance.now() - begin) / 1000;
const isOver = (): boolean => signal.aborted || tally.anomalies.length > 0 || elapsed() >= options.minutes * 60;

console.log(`seed ${options.seed}, ${options.rate} transactions/s, ${options.minutes} minutes`);
if (!hasOracle) console.log('skipped: the engine as writer and judge, and snapshots: STDB_TEST_ORACLE names no oracle');

function wordsOrEnd(): SoakOptions {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

/** A fresh database and fresh stores, for some cycles. */
async function runEpoch(number: number): Promise<void> {
  const directory = join(root, `epoch-${number}`);
  await mkdir(directory);
  await using scene = await Scene.open({ directory, seed: options.seed + 2 * number, rate: options.rate, tally });
  const disturbances = new Disturbances(scene, { random: random.fork(), signal });
  tally.add('databases', scene.writers.length);
  scene.start();
  for (let cycle = 0; cycle < options.epochCycles && !isOver(); cycle += 1) {
    if (cycle > 0) for (const writer of scene.writers) writer.start();
    const isLast = (): boolean => cycle + 1 >= options.epochCycles || isOver();
    const held = await runCycle(scene, disturbances, {
      milliseconds: options.cycleSeconds * 1000,
      random,
      signal,
      isLast,
    });
    if (held) tellCycle(scene);
  }
  for (const { acknowledged, scheme } of scene.pairs)
    if (scheme === 'file') tally.add('transactions', Number(acknowledged + 1n));
  await scene.countStores();
  if (tally.anomalies.length > 0) await scene.keepObjects();
}

function tellCycle({ pairs, proxy }: Scene): void {
  const stored = pairs.map(({ acknowledged }) => acknowledged).join(' ');
  console.log(
    `${elapsed().toFixed(0).padStart(5)} s  cycle ${tally.get('cycles')}: stored ${stored}; ` +
      `lag p99 ${seconds(tally.takeCycleLag())}; memory ${mebibytes(tally.memoryMax)}; ${proxy.requests} requests; ` +
      `${tally.get('replicator kills')} kills, ${tally.get('outages')} outages, ` +
      `${tally.get('restores in flight') + tally.get('restores at rest')} restores`,
  );
}

try {
  for (let epoch = 0; !isOver(); epoch += 1) await runEpoch(epoch);
} catch (error) {
  if (error instanceof MissingServerError) {
    await rm(root, { recursive: true, force: true });
    console.error(`nothing was tried: ${error.message}`);
    process.exit(2);
  }
  tally.note(`the soak itself failed: ${error instanceof Error ? error.stack : String(error)}`);
}
console.log(`\n${tally.table()}\n`);
if (tally.anomalies.length === 0) await rm(root, { recursive: true, force: true });
for (const anomaly of tally.anomalies) console.log(`ANOMALY ${anomaly}`);
if (tally.anomalies.length > 0) {
  console.log(`FAILED with seed ${options.seed}; kept: ${root}`);
  process.exitCode = 1;
} else if (signal.aborted) {
  console.log('interrupted');
  process.exitCode = 130;
} else console.log(`passed in ${elapsed().toFixed(0)} s`);
