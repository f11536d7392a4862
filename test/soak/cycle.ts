/** One cycle: disturb, come to rest, compare everything, prune, go on. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../sim/random.ts';
import { judge } from '../oracle/oracle.ts';
import type { Disturbances } from './disturbances.ts';
import { judgeLine } from './judge-line.ts';
import { judgeRestore, judgeStateInFlight } from './judge-restore.ts';
import type { Pair, Scene } from './scene.ts';
import { hasOracle, type SoakWriter, type WriterEnd } from './soak-writer.ts';

/** Far more than catching up takes, also beside others on the machine. */
const CATCH_UP_MS_MAX = 120_000;
const OBSERVE_MS = 200;

export interface CycleOptions {
  readonly milliseconds: number;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Whether no other cycle of these databases follows. */
  readonly isLast: () => boolean;
}

/** @returns false when it was broken off, and nothing was compared */
export async function runCycle(scene: Scene, disturbances: Disturbances, options: CycleOptions): Promise<boolean> {
  const { tally } = scene;
  disturbances.state = null;
  await disturbances.run(options.milliseconds);
  if (options.signal.aborted || tally.anomalies.length > 0) return false;
  const ends = new Map<SoakWriter, WriterEnd>();
  for (const writer of scene.writers) ends.set(writer, await writer.stop());
  const endOf = ({ writer }: Pair): WriterEnd => ends.get(writer) ?? { durable: -1, contentHash: null };
  await untilStored(scene, endOf);
  for (const pair of scene.pairs) {
    if (tally.anomalies.length === 0) await judgeRestore(scene, pair, endOf(pair));
  }
  if (disturbances.state !== null && tally.anomalies.length === 0) await judgeStateInFlight(scene, disturbances.state);
  if (options.isLast() && tally.anomalies.length === 0) await judgeLines(scene);
  if (tally.anomalies.length > 0) return false;
  for (const writer of scene.writers) if (options.random.chance(0.4)) await prune(scene, writer);
  tally.add('cycles');
  return true;
}

async function judgeLines(scene: Scene): Promise<void> {
  for (const { root, source } of scene.stores()) {
    const { faults, commits } = await judgeLine(root, [scene.prunedOf(source), source]);
    scene.tally.add('whole lines compared');
    scene.tally.add('commits compared', commits);
    if (faults.length > 0) scene.tally.note(`the line in ${root}: ${faults.join('; ')}`);
  }
}

/** A wait that ends: what is not stored by then is an anomaly. */
async function untilStored(scene: Scene, endOf: (pair: Pair) => WriterEnd): Promise<void> {
  const until = performance.now() + CATCH_UP_MS_MAX;
  const missing = (): Pair[] => scene.pairs.filter((pair) => pair.acknowledged < BigInt(endOf(pair).durable));
  while (missing().length > 0) {
    if (performance.now() > until) {
      for (const pair of missing())
        scene.tally.note(`${pair.name} is stored to ${pair.acknowledged} of ${endOf(pair).durable}, and stays`);
      return;
    }
    await delay(OBSERVE_MS);
    await scene.observe(false);
  }
  for (const pair of scene.pairs) {
    if (pair.acknowledged > BigInt(endOf(pair).durable))
      scene.tally.note(`${pair.name}: ${pair.acknowledged} is told to be stored, beyond the source's end`);
  }
}

/** As an operator does: leading segments that lie wholly before the snapshot that the engine opens from. */
async function prune(scene: Scene, { directory }: SoakWriter): Promise<void> {
  if (!hasOracle) return;
  const { snapshot_used: snapshot } = await judge(directory);
  if (snapshot === null) return;
  const clog = join(directory, 'clog');
  const kept = join(scene.prunedOf(directory), 'clog');
  await mkdir(kept, { recursive: true });
  const segments = (await readdir(clog)).filter((name) => name.endsWith('.stdb.log')).toSorted();
  for (const [index, name] of segments.entries()) {
    const next = segments[index + 1];
    if (next === undefined || BigInt(next.slice(0, 20)) > BigInt(snapshot)) return;
    // Not in the database's directory any more, and yet there for the last comparison.
    await rename(join(clog, name), join(kept, name));
    await rm(join(clog, name.replace(/log$/, 'ofs')), { force: true });
    scene.tally.add('pruned segments');
  }
}
