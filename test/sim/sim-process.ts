/**
 * A process that runs the real replicator: it can be killed at any moment at which it waits, frozen, or told to end. What
 * a killed one has sent to the store may still arrive there.
 */
import type { Bell } from '../../src/capture/directory-bell.ts';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { errorMessage, ReplicateError } from '../../src/core/errors.ts';
import type { Log } from '../../src/core/log.ts';
import type { ProcessIdentity } from '../../src/core/process-identity.ts';
import type { TimedPosition } from '../../src/core/status.ts';
import { HEAD_KEY } from '../../src/layout/keys.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { retryingClient } from '../../src/replica/wrap/retrying.ts';
import { Replicator } from '../../src/replicate/replicator.ts';
import type { Random } from './random.ts';
import { Mailbox, type Scheduler } from './scheduler.ts';
import type { Server } from './server.ts';
import { simClock, type WallClock } from './sim-clock.ts';
import { type FileWeather, SimFiles } from './sim-files.ts';
import { type Bucket, SimStoreClient, type StoreWeather } from './sim-store.ts';

const MIB = 1024 * 1024;
/** After SIGTERM, as the daemon's own limit. */
const DRAIN_MS = 20_000;

/** A machine: its processes see each other's death. */
export interface Machine {
  readonly id: string;
  readonly server: Server;
  readonly wall: WallClock;
  readonly files: FileWeather;
  /** Whether file events are delivered. */
  readonly events: boolean;
}

export interface ProcessOptions {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly machine: Machine;
  readonly bucket: Bucket;
  readonly weather: StoreWeather;
  readonly pid: number;
  readonly owner: string;
  readonly once: boolean;
  readonly takeover: boolean;
  readonly standby: boolean;
  readonly leaseTtlMs: number;
  readonly intervalMs: number;
  /** Told of a write before it is sent for the first time. */
  readonly onSend: (key: string) => void;
  /** Told when a write of the head is answered as done. */
  readonly onHeadAnswer: () => void;
  readonly onEnd: (error: unknown) => void;
  readonly isDead: (process: ProcessIdentity) => boolean;
}

export interface Ended {
  /** Null: as it should. */
  readonly error: unknown;
}

export class SimProcess {
  readonly mailbox: Mailbox;
  readonly options: ProcessOptions;
  readonly session: string;
  readonly #replicator: Replicator;
  readonly #files: SimFiles;
  readonly #stop = new AbortController();
  ended: Ended | null = null;
  /** When the store last told it that the head is its own. */
  headAnsweredAt = Number.NEGATIVE_INFINITY;
  /** Whether it was told to end. */
  draining = false;

  constructor(options: ProcessOptions) {
    const { scheduler, random, machine, bucket, weather, pid, owner, once } = options;
    this.options = options;
    this.mailbox = new Mailbox(`p${pid}`);
    this.session = `session-${pid}`;
    const { mailbox } = this;
    const clock = simClock(scheduler, { mailbox, wall: machine.wall });
    this.#files = new SimFiles({ scheduler, random, mailbox, disk: machine.server.disk, weather: machine.files });
    const store = new SimStoreClient({ scheduler, random, mailbox, bucket, weather, timeoutMs: 30_000, pageKeys: 7 });
    const retrying = retryingClient(store, {
      clock,
      random: random.next,
      ...(once ? { giveUpAfterMs: 30_000 } : {}),
    });
    const client = this.#watched(retrying);
    const budget = new ByteBudget(96 * MIB);
    this.#replicator = new Replicator({
      database: machine.server.directory,
      files: this.#files,
      client,
      writer: { owner, session: this.session, process: identityOf(machine, pid), version: '0.0.0' },
      leaseTtlMs: options.leaseTtlMs,
      intervalMs: options.intervalMs,
      compressionLevel: 1,
      budget,
      clock,
      log: this.#log(),
      once,
      takeover: options.takeover,
      standby: options.standby,
      openBell: () => this.#bell(),
      randomHex: random.hex,
      random: random.next,
      isProvenDead: async (process) => options.isDead(process),
    });
  }

  get alive(): boolean {
    return this.mailbox.state !== 'closed' && this.ended === null;
  }

  start(): void {
    const { scheduler, machine, owner, once } = this.options;
    scheduler.note(`${this.mailbox.name} starts on ${machine.id} as ${owner}${once ? ', once' : ''}`);
    void this.#replicator.run(this.#stop.signal).then(
      () => this.#end(null),
      (error: unknown) => this.#end(error ?? new Error('rejected with nothing')),
    );
  }

  #end(error: unknown): void {
    this.ended = { error };
    const code = error instanceof ReplicateError ? error.code : error instanceof Error ? error.name : String(error);
    this.options.scheduler.note(
      `${this.mailbox.name} ends: ${error === null ? 'well' : `${code}: ${errorMessage(error)}`}`,
    );
    this.mailbox.close();
    this.options.onEnd(error);
  }

  /** Files that it has open. */
  get leaked(): number {
    return this.#files.openHandles;
  }

  /** Whether it was told to stop at once. */
  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** What it says is stored, and in which generation. */
  stored(): { generation: string; position: TimedPosition } | null {
    const { generation, stored } = this.#replicator.status();
    return generation === null || stored === null ? null : { generation, position: stored };
  }

  newestSnapshot(): bigint | null {
    return this.#replicator.status().newestSnapshot;
  }

  state(): string {
    const { state, lastError, lagTransactions } = this.#replicator.status();
    return `${state}, lag ${lagTransactions}${lastError === null ? '' : `, last error ${lastError.code}`}`;
  }

  /** SIGKILL. */
  kill(): void {
    this.options.scheduler.note(`${this.mailbox.name} is killed`);
    this.mailbox.close();
  }

  /** SIGSTOP. */
  freeze(): void {
    this.options.scheduler.note(`${this.mailbox.name} is frozen`);
    this.mailbox.freeze();
  }

  /** SIGCONT. */
  thaw(): void {
    this.options.scheduler.note(`${this.mailbox.name} goes on`);
    this.mailbox.thaw(this.options.scheduler);
  }

  /** SIGTERM: as the daemon does, a last sync for so long, then an end in any case. */
  drain(): void {
    if (this.draining) return;
    this.draining = true;
    const { scheduler } = this.options;
    scheduler.at(0, { label: 'is told to end', to: this.mailbox }, () => this.#replicator.drain());
    scheduler.at(DRAIN_MS, { label: 'has no more time', to: this.mailbox }, () => {
      if (this.ended === null) this.#stop.abort(new Error('out of time'));
    });
  }

  /** The same client; a write is told of before its first attempt. */
  #watched(client: ReplicaClient): ReplicaClient {
    const { scheduler, onSend, onHeadAnswer } = this.options;
    const put: ReplicaClient['put'] = async (key, body, options) => {
      onSend(key);
      const answer = await client.put(key, body, options);
      if (key === HEAD_KEY) {
        this.headAnsweredAt = scheduler.nowMs;
        onHeadAnswer();
      }
      return answer;
    };
    return {
      url: client.url,
      conditional: client.conditional,
      put,
      get: (key, options) => client.get(key, options),
      head: (key, options) => client.head(key, options),
      list: (prefix, options) => client.list(prefix, options),
      delete: (keys, options) => client.delete(keys, options),
      close: () => client.close(),
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  }

  #bell(): Bell {
    const { scheduler, machine, random } = this.options;
    const { disk, directory } = machine.server;
    const { mailbox } = this;
    let ring: (() => void) | null = null;
    const listen = (path: string): void => {
      // One level, of the log and of the snapshots, as the watcher's.
      const depth = path.startsWith(`${directory}/`) ? path.slice(directory.length + 1).split('/').length : 0;
      if (ring === null || depth !== 2 || !machine.events) return;
      scheduler.at(random.delayMs(1), { label: 'hears the bell', to: mailbox }, () => ring?.());
    };
    disk.listeners.add(listen);
    return {
      get armed() {
        return ring !== null;
      },
      trusted: machine.events,
      arm: async (heard) => {
        ring = heard;
      },
      disarm: async () => {
        ring = null;
      },
      [Symbol.asyncDispose]: async () => {
        disk.listeners.delete(listen);
      },
    };
  }

  #log(): Log {
    const { scheduler } = this.options;
    const say = (level: string) => (message: string) => scheduler.note(`${this.mailbox.name} ${level}: ${message}`);
    const log: Log = {
      debug: say('debug'),
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: () => log,
    };
    return log;
  }
}

const identityOf = (machine: Machine, pid: number): ProcessIdentity => ({
  machineId: machine.id,
  bootId: `boot of ${machine.id}`,
  pidNamespace: '1',
  pid,
  startTime: String(pid),
  host: machine.id,
});
