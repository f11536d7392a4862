/** One database to one destination: a replicator with a client, counters and memory of its own. */
import type { DatabaseStatus, ServerImageStatus, StoreCounters } from '../core/status.ts';
import { Replicator } from '../replicate/replicator.ts';
import { destinationOf } from './destination.ts';
import type { MemberMemory } from './memory-shares.ts';
import type { Replication, ReplicationContext, ReplicationPlace } from './replication.ts';

export class DatabaseReplication implements Replication, Disposable {
  readonly name: string;
  readonly #replicator: Replicator;
  readonly #counters: () => StoreCounters;
  readonly #memory: MemberMemory;

  /** @param place its root is that of this database */
  constructor(context: ReplicationContext, { path, root, store, givenUp, log }: ReplicationPlace) {
    const { config, memory, giveUpAfterMs, once, standby, writer, files, clock } = context;
    const { client, counters } = destinationOf(root, { giveUpAfterMs, givenUp, clock, log });
    this.#counters = counters;
    this.#memory = memory.join(store);
    this.#replicator = new Replicator({
      database: path,
      files,
      client,
      writer,
      leaseTtlMs: config.leaseTtlMs,
      intervalMs: config.levels[0]?.intervalMs ?? 1_000,
      compressionLevel: config.compressionLevel,
      budget: this.#memory.budget,
      steadyBudget: this.#memory.steadyBudget,
      clock,
      log,
      once,
      standby,
      takeover: config.takeover,
    });
    this.name = this.#replicator.name;
  }

  async run(signal: AbortSignal): Promise<void> {
    using _ = this.#memory;
    await this.#replicator.run(signal);
  }

  /** Gives its memory back; to be called where it is never run. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  drain(): void {
    this.#replicator.drain();
  }

  /** A store that does not answer is the newest error, although its calls are tried again and have not failed yet. */
  databases(): readonly [DatabaseStatus] {
    const status = this.#replicator.status();
    const { failing = null } = this.#counters();
    return [failing === null || status.state === 'stopped' ? status : { ...status, lastError: failing }];
  }

  images(): readonly ServerImageStatus[] {
    return [];
  }

  stores(): readonly StoreCounters[] {
    return [this.#counters()];
  }
}
