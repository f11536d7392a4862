/** Runs one seed from the first append to the last restore. */
import { blake3Hex } from '../../src/core/checksum.ts';
import { Director } from './director.ts';
import { makePlan, type Plan } from './plan.ts';
import { Random } from './random.ts';
import type { RestorePlace } from './restored.ts';
import { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';
import { leaveThreadPool } from '../../src/zstd/thread-pool.ts';
import { demand } from './violation.ts';
import { World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** How many things the director does. */
  readonly actions: number;
  readonly place: RestorePlace;
  /** Told of everything that happens. */
  readonly onTrace?: (line: string) => void;
  /** Changes what may happen. */
  readonly plan?: Partial<Plan>;
  /** Changes the world before anything happens, for planted defects. */
  readonly prepare?: (world: World) => void;
}

export interface Outcome {
  readonly seed: number;
  /** Null: every promise was kept. */
  readonly failure: Error | null;
  /** Of everything that happened: the same seed gives the same. */
  readonly traceHash: string;
  readonly happened: number;
  readonly virtualMs: number;
  readonly restores: number;
  readonly generations: number;
  readonly processes: number;
}

/** How long a healthy writer may take to store all that is there, virtual milliseconds. */
const CATCH_UP_MS = 600_000;
/** Long enough for every timer of an idle writer; where no event tells of anything it looks once an interval. */
const IDLE_MS = { events: 700_000, polling: 30_000 };
/** How many generations one start, or one break of the log, may cost: races for the head are lost and tried again. */
const GENERATIONS_EACH = 2;

export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const { seed, actions, place, onTrace, prepare } = options;
  leaveThreadPool();
  const random = new Random(seed);
  const scheduler = new Scheduler({ random: random.fork(), onTrace });
  const plan = { ...makePlan(random.fork(), { actions }), ...options.plan };
  scheduler.note(`plan ${JSON.stringify(plan)}`);
  const world = new World({ scheduler, random, plan, place });
  prepare?.(world);
  let failure: Error | null = null;
  try {
    const director = new Director(world);
    await director.run();
    await finish(world, director);
    world.oracle.throwIfViolated();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    scheduler.note(`FAILED ${failure.message}`);
  }
  for (const [key, { bytes }] of [...world.bucket.client.store.objects].sort(([a], [b]) => (a < b ? -1 : 1))) {
    scheduler.note(`${key} ${blake3Hex(bytes)}`);
  }
  return {
    seed,
    failure,
    traceHash: scheduler.traceHash(),
    happened: scheduler.happened,
    virtualMs: scheduler.nowMs,
    restores: world.oracle.restores,
    generations: world.oracle.generations.size,
    processes: world.processes.length,
  };
}

/** Heals all, lets one writer catch up, be idle and hand over, and compares everything. */
async function finish(world: World, director: Director): Promise<void> {
  const { oracle, bucket } = world;
  await oracle.check();
  const writer = await director.settle();
  const { server } = writer.options.machine;
  // What the server lost without a word is lost for good once it writes on.
  server.append(2);
  // Behind damage a backup begins anew at a snapshot, which a server takes sooner or later.
  if (world.plan.rot) server.snapshot();
  await world.run(10_000, { until: () => server.idle });
  await catchUp(world, writer);
  // A snapshot that appears while another look is under way is found by the next one.
  await world.run(30_000);
  demand(writer.state().startsWith('streaming'), () => `a healthy writer is ${writer.state()}`);
  const { requests } = bucket;
  await world.run(world.plan.events ? IDLE_MS.events : IDLE_MS.polling);
  demand(bucket.requests === requests, () => `an idle database cost ${bucket.requests - requests} requests`);
  writer.drain();
  await world.run(60_000, { until: () => writer.ended !== null });
  demand(writer.ended !== null, () => 'a writer that was told to end did not');
  demand(writer.ended.error === null, () => `a healthy writer ended with ${String(writer.ended?.error)}`);
  // Without conditions nobody may go on in another's generation, and the head is never marked.
  const mustRelease = world.plan.conditional === 'full';
  demand(oracle.head?.released === mustRelease, () => 'a writer that ended well did not release the head');
  const restored = await oracle.check();
  demand(restored !== null, () => 'nothing can be restored at the end');
  demand(
    restored.end === server.tip,
    () => `the last restore ends at ${restored.end.last}, the server's log at ${server.tip?.last}`,
  );
  await oracle.checkGenerations(world.random, { most: 2 });
  const most = GENERATIONS_EACH * (world.processes.length + world.breaks * world.machines.length) + 2;
  const { size } = oracle.generations;
  demand(size <= most, () => `${size} generations for ${world.processes.length} starts and ${world.breaks} breaks`);
}

async function catchUp(world: World, writer: SimProcess): Promise<void> {
  const { server } = writer.options.machine;
  const isThere = (): boolean => writer.stored()?.position.tx === server.tip?.last;
  await world.run(CATCH_UP_MS, { until: () => writer.ended !== null || isThere() });
  const error = writer.ended?.error;
  demand(!error, () => `a healthy writer ended with ${String(error)}`);
  demand(
    isThere(),
    () => `a healthy writer stored ${writer.stored()?.position.tx} of ${server.tip?.last}: ${writer.state()}`,
  );
}
