/** Makes things happen: what the server does, what becomes of the writers, and how the store and the disk behave. */
import { demand } from './violation.ts';
import { backFrom } from './history.ts';
import type { Machine, SimProcess } from './sim-process.ts';
import type { World } from './world.ts';
import { CLEAR_WEATHER } from './sim-store.ts';

type Action = () => void | Promise<void>;

export class Director {
  readonly #world: World;
  /** The writer that each machine's supervisor keeps running. */
  readonly #supervised = new Map<Machine, SimProcess>();
  #ended = false;

  constructor(world: World) {
    this.#world = world;
  }

  get #main(): Machine {
    return this.#world.machines[0] as Machine;
  }

  async run(): Promise<void> {
    const { random, plan } = this.#world;
    this.#start(this.#world.addMachine());
    for (let n = 0; n < plan.actions; n += 1) {
      await this.#choose()();
      await this.#world.run(random.delayMs(random.chance(0.05) ? 40 * plan.paceMs : plan.paceMs));
    }
    this.#ended = true;
  }

  #start(machine: Machine): void {
    machine.server.boot();
    this.#supervise(machine);
  }

  /** Starts a writer, and again whenever it has ended, after a while. */
  #supervise(machine: Machine): void {
    const { random, scheduler } = this.#world;
    const process = this.#world.startProcess(machine, { standby: random.chance(0.2) });
    this.#supervised.set(machine, process);
    const look = (): void => {
      if (this.#ended || this.#supervised.get(machine) !== process) return;
      if (process.alive) scheduler.at(500, { label: 'supervisor looks' }, look);
      else scheduler.at(random.delayMs(3_000), { label: 'supervisor starts' }, () => this.#restart(machine, process));
    };
    look();
  }

  #restart(machine: Machine, ended: SimProcess): void {
    if (!this.#ended && this.#supervised.get(machine) === ended) this.#supervise(machine);
  }

  #choose(): Action {
    const { random, plan, machines } = this.#world;
    const machine = random.pick(machines);
    const { server } = machine;
    const writer = this.#supervised.get(machine);
    const on = (flag: boolean, weight: number): number => (flag ? weight : 0);
    const actions: [number, Action][] = [
      [30, () => server.append(random.int(1, 6))],
      [4, () => server.append(random.int(10, 40))],
      [6, () => server.rotate()],
      [on(plan.compression, 5), () => server.compress()],
      [on(plan.snapshots, 6), () => server.snapshot()],
      [on(plan.snapshots && plan.compression, 2), () => server.compressSnapshots()],
      [on(plan.snapshots, 1), () => server.archiveSnapshot()],
      [on(plan.snapshots && plan.pruning, 3), () => this.#prune(machine)],
      [3, () => this.#crash(machine, { power: false })],
      [on(plan.power, 4), () => this.#crash(machine, { power: true })],
      [3, () => this.#rotateOften(machine)],
      [on(plan.restarts, 5), () => this.#kill(writer)],
      [on(plan.restarts, 4), () => writer?.drain()],
      [on(plan.freezes, 3), () => this.#freeze(writer)],
      [on(plan.storms, 3), () => this.#storm()],
      [on(plan.outages, 2), () => this.#outage()],
      [on(plan.fileFaults, 2), () => this.#badDisk(machine)],
      [on(plan.clocks, 2), () => this.#setClock(machine)],
      [on(plan.strangers, 1), () => this.#stranger(machine)],
      [on(plan.rivals, 2), () => void this.#world.startProcess(machine, { once: random.chance(0.5) })],
      [on(plan.clones && machines.length < 2, 2), () => this.#clone()],
      [on(plan.resets, 2), () => this.#reset(machine)],
      [on(plan.wipes, 2), () => this.#wipe(machine)],
      [on(plan.restores, 2), () => this.#restoreServer(machine)],
      [on(plan.rot, 1), () => this.#rot(machine)],
      [3, () => this.#check()],
    ];
    return random.weighted(actions);
  }

  async #check(): Promise<void> {
    this.#world.scheduler.note('check');
    await this.#world.oracle.check();
  }

  #crash(machine: Machine, options: { power: boolean }): void {
    if (!machine.server.running) return;
    if (options.power) this.#world.breaks += 1;
    machine.server.crash(options);
    this.#bootLater(machine);
  }

  #bootLater(machine: Machine): void {
    const { scheduler, random } = this.#world;
    const inMs = random.chance(0.3) ? random.delayMs(5) : random.delayMs(2_000);
    scheduler.at(inMs, { label: `${machine.server.name} starts` }, () => this.#boot(machine));
  }

  #boot({ server }: Machine): void {
    if (server.running || server.boot() === null) return;
    // A segment without any whole commit is moved away by hand.
    if (this.#world.random.chance(0.8) && server.dropLastSegment() && server.boot() === null) return;
    // Nothing helps but to begin anew.
    this.#world.breaks += 1;
    server.wipe({ directory: false });
    demand(server.boot() === null, () => 'the model refuses an empty directory');
  }

  /** Several segments that nobody has read yet. */
  #rotateOften({ server }: Machine): void {
    for (let n = this.#world.random.int(2, 5); n > 0; n -= 1) {
      server.append(this.#world.random.int(1, 3));
      server.rotate();
    }
  }

  /** What it had said until then must be there. */
  async #kill(writer: SimProcess | undefined): Promise<void> {
    if (writer?.alive !== true) return;
    writer.kill();
    if (this.#world.random.chance(0.3)) await this.#check();
  }

  /** Whoever was not running meanwhile finds a gap. */
  #prune({ server }: Machine): void {
    this.#world.breaks += 1;
    server.prune();
  }

  #freeze(process: SimProcess | undefined): void {
    const { random, scheduler, plan } = this.#world;
    if (process?.alive !== true) return;
    process.freeze();
    const ms = random.chance(0.5) ? random.delayMs(500) : random.delayMs(plan.leaseTtlMs * 1.5);
    scheduler.at(ms, { label: 'SIGCONT' }, () => process.thaw());
  }

  #storm(): void {
    const { random, scheduler, weather } = this.#world;
    Object.assign(weather, {
      latencyMs: random.pick([2, 30, 400]),
      lost: random.pick([0, 0.1, 0.4]),
      unanswered: random.pick([0, 0.1, 0.4]),
      // Without conditions a dead process's late write of the head cannot be told from a living one's.
      late: this.#world.plan.conditional === 'full' ? random.pick([0, 0.05, 0.2]) : 0,
    });
    scheduler.note(`storm ${JSON.stringify(weather)}`);
    scheduler.at(random.delayMs(20_000), { label: 'the storm is over' }, () => {
      Object.assign(weather, { ...CLEAR_WEATHER, outage: weather.outage });
    });
  }

  #outage(): void {
    const { random, scheduler, weather } = this.#world;
    weather.outage = true;
    scheduler.at(random.delayMs(60_000), { label: 'the outage is over' }, () => {
      weather.outage = false;
    });
  }

  #badDisk({ files }: Machine): void {
    const { random, scheduler } = this.#world;
    files.failures = random.pick([0.01, 0.1, 1]);
    scheduler.at(random.delayMs(2_000), { label: 'the disk is well again' }, () => {
      files.failures = 0;
    });
  }

  #setClock({ wall, server }: Machine): void {
    const { random } = this.#world;
    wall.offsetMs += random.pick([-3_600_000, -1_000, 1_000, 3_600_000]);
    server.clockOffsetMs = wall.offsetMs;
  }

  /** Somebody else's machine with our configuration. */
  #stranger(machine: Machine): void {
    const { oracle, scheduler } = this.#world;
    if (oracle.head === null) return;
    const process = this.#world.startProcess(machine, { owner: 'staging' });
    scheduler.at(120_000, { label: 'the stranger leaves' }, () => process.kill());
  }

  /** Another machine goes on from a copy of this one's disk, under the same owner's name. */
  #clone(): void {
    const { server } = this.#main;
    if (server.tip === null) return;
    const copy = this.#world.addMachine({ identity: server.identity });
    copy.server.load(new Map([...server.disk.filesBelow(server.directory)].map(([path, { bytes }]) => [path, bytes])));
    this.#world.breaks += 1;
    this.#boot(copy);
    this.#supervise(copy);
  }

  #reset(machine: Machine): void {
    const { server } = machine;
    const { random } = this.#world;
    if (!server.running || server.tip === null) return;
    server.crash({ power: false });
    this.#world.breaks += 1;
    const steps = random.int(0, 12);
    let target = server.tip;
    let n = 0;
    for (const commit of backFrom(server.tip)) {
      if (n > steps || commit.first < (server.logStart ?? 0n)) break;
      target = commit;
      n += 1;
    }
    server.cutBack(target);
    this.#bootLater(machine);
  }

  /** Cleared, or published anew as another database in the same place. */
  #wipe(machine: Machine): void {
    const { random } = this.#world;
    const { server } = machine;
    this.#world.breaks += 1;
    server.wipe({ directory: random.chance(0.5) });
    if (random.chance(0.7)) server.identity = this.#world.newIdentity();
    this.#bootLater(machine);
  }

  /** The operator puts what the backup holds in the place of what is there. */
  async #restoreServer(machine: Machine): Promise<void> {
    const { random, oracle, bucket, history, place, scheduler } = this.#world;
    const generation = random.chance(0.5) ? [...oracle.acknowledged.keys()] : [];
    const restored =
      generation.length === 0
        ? await oracle.check()
        : await place.restore(bucket, history, { generation: random.pick(generation) }).catch(() => null);
    if (restored === null) return;
    const { server } = machine;
    scheduler.note(`restored to ${restored.end.last}`);
    this.#world.breaks += 1;
    server.load(restored.files);
    if (restored.snapshot !== null) server.identity = restored.snapshot.identity;
    const refused = server.boot();
    demand(refused === null, () => `a server does not start on what was restored: ${refused}`);
    demand(
      server.tip === restored.end,
      () => `a server starts at ${server.tip?.last} on a restore to ${restored.end.last}`,
    );
  }

  #rot({ server }: Machine): void {
    if (server.rot()) this.#world.breaks += 1;
  }

  /** All is well again: one server runs, one writer is started. */
  async settle(): Promise<SimProcess> {
    const { weather, machines, processes } = this.#world;
    Object.assign(weather, CLEAR_WEATHER);
    for (const { files } of machines) files.failures = 0;
    for (const process of processes) if (process.alive) process.kill();
    const machine = this.#main;
    this.#boot(machine);
    await this.#world.run(1_000, { until: () => machine.server.idle && machine.server.running });
    // What a dead process sent may still arrive, and look like a sign of life.
    return this.#world.startProcess(machine, { standby: true });
  }
}
