/** One simulated world: machines with servers, a bucket, and the processes between them. */
import type { ProcessIdentity } from '../../src/core/process-identity.ts';
import { CLEAR_WEATHER, openBucket, type StoreWeather } from './sim-store.ts';
import { History } from './history.ts';
import { MemoryDisk } from './memory-disk.ts';
import { Oracle } from './oracle.ts';
import type { Plan } from './plan.ts';
import type { Random } from './random.ts';
import type { RestorePlace } from './restored.ts';
import type { Scheduler } from './scheduler.ts';
import { Server } from './server.ts';
import { EPOCH_MICROS } from './sim-clock.ts';
import { type Machine, SimProcess } from './sim-process.ts';

export const OWNER = 'game-0';
const DIRECTORY = '/stdb/replicas/7';

export interface WorldOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly plan: Plan;
  readonly place: RestorePlace;
}

export class World {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly plan: Plan;
  readonly place: RestorePlace;
  readonly history = new History();
  readonly bucket;
  readonly oracle: Oracle;
  readonly weather: StoreWeather = { ...CLEAR_WEATHER };
  readonly machines: Machine[] = [];
  readonly processes: SimProcess[] = [];
  /** Reasons for new generations so far, writers' starts apart. */
  breaks = 0;
  #identities = 0;

  constructor({ scheduler, random, plan, place }: WorldOptions) {
    this.scheduler = scheduler;
    this.random = random;
    this.plan = plan;
    this.place = place;
    this.bucket = openBucket({ conditional: plan.conditional });
    const isOneHistory = (): boolean => this.breaks === 0 && this.machines.length === 1;
    const nowMs = (): number => scheduler.nowMs;
    this.oracle = new Oracle({ bucket: this.bucket, history: this.history, place, owner: OWNER, isOneHistory, nowMs });
  }

  newIdentity(): string {
    this.#identities += 1;
    return this.#identities.toString(16).padStart(64, '0');
  }

  addMachine({ identity = this.newIdentity() }: { identity?: string } = {}): Machine {
    const { scheduler, random, history } = this;
    const id = `m${this.machines.length + 1}`;
    const disk = new MemoryDisk(() => EPOCH_MICROS + BigInt(Math.round(scheduler.nowMs * 1000)));
    const server = new Server({
      name: `server@${id}`,
      scheduler,
      random: random.fork(),
      disk,
      directory: DIRECTORY,
      history,
      identity,
    });
    const { events, fileTurns } = this.plan;
    const machine = { id, server, wall: { offsetMs: 0 }, files: { turns: fileTurns, failures: 0 }, events };
    this.machines.push(machine);
    return machine;
  }

  startProcess(
    machine: Machine,
    { owner = OWNER, once = false, standby = false }: { owner?: string; once?: boolean; standby?: boolean } = {},
  ): SimProcess {
    const { scheduler, random, bucket, weather, plan } = this;
    const process: SimProcess = new SimProcess({
      scheduler,
      random: random.fork(),
      machine,
      bucket,
      weather,
      pid: 100 + this.processes.length,
      owner,
      once,
      standby,
      takeover: false,
      leaseTtlMs: plan.leaseTtlMs,
      intervalMs: plan.intervalMs,
      onSend: (key) => this.oracle.onSend(process, key),
      onHeadAnswer: () => this.oracle.onHeadAnswer(process),
      onEnd: (error) => this.oracle.onEnd(process, error),
      isDead: (other) => this.#isDead(machine, other),
    });
    this.processes.push(process);
    process.start();
    return process;
  }

  #isDead(machine: Machine, { machineId, pid }: ProcessIdentity): boolean {
    if (machineId !== machine.id) return false;
    const process = this.processes.find(({ options }) => options.pid === pid && options.machine === machine);
    return process !== undefined && !process.alive;
  }

  listen(): void {
    for (const process of this.processes) if (process.mailbox.state === 'open') this.oracle.listen(process);
    this.oracle.throwIfViolated();
  }

  /** Lets the world go on for a while. */
  async run(ms: number, { until = () => false }: { until?: () => boolean } = {}): Promise<void> {
    await this.scheduler.run(ms, {
      until: () => {
        this.listen();
        return until();
      },
    });
  }
}
