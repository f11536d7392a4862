/**
 * A whole server data directory to one destination: each of its databases by a replicator of its own, and the server's
 * own files by a writer of images.
 *
 * Responsible for: which databases there are, from moment to moment. Not responsible for: how any of them is stored; one
 * that fails leaves the others running.
 *
 * Invariants: nothing is begun at a destination that holds the backup of a single database; a database is given up only
 * when its directory has been gone for several looks while `replicas/` itself could be listed, since a volume that is
 * away is no deletion; its backup stays.
 */
import { basename, join } from 'node:path';
import { errorMessage, LocalFileError, ReplicateError } from '../core/errors.ts';
import type { DatabaseStatus, ServerImageStatus, StoreCounters } from '../core/status.ts';
import type { Micros } from '../core/types.ts';
import type { ImageReplica } from '../layout/image-manifest.ts';
import { parseGenerationName } from '../layout/keys.ts';
import { GivenUp } from '../replica/wrap/given-up.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import type { ServerImageReplicator } from '../replicate/server/server-image-replicator.ts';
import { classifyDirectory } from '../spacetimedb/classify-directory.ts';
import { CLOG_DIR, parseReplicaId, REPLICAS_DIR } from '../spacetimedb/file-names.ts';
import { listSegments } from '../spacetimedb/segments.ts';
import { DatabaseReplication } from './database-replication.ts';
import { type Destination, destinationOf } from './destination.ts';
import type { MemberMemory } from './memory-shares.ts';
import type { Replication, ReplicationContext, ReplicationPlace } from './replication.ts';
import { requireServerBackup } from './require-server-backup.ts';
import { newServerImages } from './server-images.ts';

const LOOK_MS = 2_000;
/** A directory that is being replaced is away for a moment. */
const LOOKS_UNTIL_GONE = 3;
/** A directory that cannot be read is said so again after as many looks: in ten minutes. */
const LOOKS_UNTIL_SAID_AGAIN = 300;

interface Replica {
  readonly path: string;
  readonly replicaId: bigint;
  readonly replication: DatabaseReplication;
  /** Looks in a row that did not find its directory. */
  missing: number;
  gone: boolean;
}

/** Why nothing was begun, and since when. */
interface Failure {
  readonly failed: unknown;
  readonly at: Micros;
}

export interface ServerReplicationOptions {
  /** Absolute; their last parts are unique. */
  readonly extraFiles: readonly string[];
}

export class ServerReplication implements Replication {
  readonly name: string;
  readonly #context: ReplicationContext;
  readonly #place: ReplicationPlace;
  readonly #destination: Destination;
  readonly #memory: MemberMemory;
  readonly #images: ServerImageReplicator;
  readonly #replicas = new Map<string, Replica>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #drain = new AbortController();
  #state: 'asking' | 'answered' | Failure = 'asking';
  #failedLooks = 0;
  #lastLookError: LocalFileError | null = null;

  /** @throws ConfigurationError where an extra file has a name that cannot be stored */
  constructor(context: ReplicationContext, place: ReplicationPlace, { extraFiles }: ServerReplicationOptions) {
    const { path, root, store, log } = place;
    this.name = `${path} → ${root.url}`;
    this.#context = context;
    // One pass waits for its store once, not for each of the databases and for the images behind them.
    const givenUp = new GivenUp();
    this.#place = { ...place, givenUp };
    this.#memory = context.memory.join(store);
    const { giveUpAfterMs, clock } = context;
    this.#destination = destinationOf(root, { giveUpAfterMs, givenUp, clock, log });
    this.#images = newServerImages(context, {
      path,
      client: this.#destination.client,
      memory: this.#memory,
      extraFiles,
      replicas: () => this.#positions(),
      log,
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    using _ = this.#memory;
    try {
      await this.#look();
      await requireServerBackup(this.#destination.client, { signal });
      this.#state = 'answered';
    } catch (error) {
      this.#state = { failed: error, at: this.#context.clock.now() };
      for (const { replication } of this.#replicas.values()) replication[Symbol.dispose]();
      throw error;
    }
    if (this.#context.once) await this.#runOnce();
    else await this.#follow(signal);
    await Promise.all(this.#running);
    signal.throwIfAborted();
    // Whether a database is there that was never stored is not known: that is no good end.
    if (this.#lastLookError !== null) throw this.#lastLookError;
  }

  /** What runs is drained by the supervisor, as all services are. */
  drain(): void {
    this.#drain.abort();
  }

  async #runOnce(): Promise<void> {
    for (const replica of this.#replicas.values()) await this.#begin(replica);
    await Promise.all(this.#running);
    await this.#context.supervisor.run(this.#images);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, supervisor } = this.#context;
    for (const replica of this.#replicas.values()) await this.#begin(replica);
    this.#keep(supervisor.run(this.#images));
    const awake = AbortSignal.any([signal, this.#drain.signal]);
    // Told to end, it looks once more: a server that has just ended may have made a database since the last look.
    do {
      await clock.sleep(LOOK_MS, { signal: awake }).catch(() => undefined);
      if (!signal.aborted) await this.#look();
    } while (!awake.aborted);
  }

  /** Finds out which databases there are. In the service a directory that cannot be read is looked at again. */
  async #look(): Promise<void> {
    const { once, files } = this.#context;
    const { path, log } = this.#place;
    try {
      const found = await classifyDirectory(files, path);
      const isListed = found.kind === 'server' && (await files.facts(join(path, REPLICAS_DIR))) !== null;
      if (isListed) await this.#follows(found.replicas);
      this.#failedLooks = 0;
      this.#lastLookError = null;
    } catch (error) {
      if (once || !(error instanceof LocalFileError)) throw error;
      if (this.#failedLooks % LOOKS_UNTIL_SAID_AGAIN === 0) {
        log.warn(`${path} cannot be looked at: new databases in it are not noticed`, { reason: errorMessage(error) });
      }
      this.#failedLooks += 1;
      this.#lastLookError = error;
    }
  }

  async #follows(paths: readonly string[]): Promise<void> {
    const { log } = this.#place;
    const isLater = this.#state === 'answered';
    for (const path of paths) {
      if (this.#replicas.has(path)) continue;
      const replica = this.#newReplica(path);
      this.#replicas.set(path, replica);
      if (!isLater) continue;
      log.info('a database has appeared', { database: path });
      await this.#begin(replica);
    }
    for (const replica of this.#replicas.values()) {
      replica.missing = paths.includes(replica.path) ? 0 : replica.missing + 1;
      if (replica.missing === LOOKS_UNTIL_GONE) this.#giveUp(replica);
    }
  }

  #newReplica(path: string): Replica {
    const { root, log } = this.#place;
    const name = basename(path);
    const replication = new DatabaseReplication(this.#context, {
      ...this.#place,
      path,
      root: prefixedClient(root, `${REPLICAS_DIR}/${name}/`),
      log: log.child({ database: path }),
    });
    return { path, replicaId: parseReplicaId(name) ?? 0n, replication, missing: 0, gone: false };
  }

  async #begin(replica: Replica): Promise<void> {
    const { once, files, supervisor } = this.#context;
    const { path, replication } = replica;
    if (once && (await listSegments(files, join(path, CLOG_DIR))).length === 0) {
      this.#place.log.info('a database without a commit log is left out', { database: path });
      return;
    }
    const ended = supervisor.run(replication, { isForgotten: () => replica.gone });
    this.#keep(
      ended.then(() => {
        if (replica.gone) this.#replicas.delete(path);
      }),
    );
  }

  #giveUp(replica: Replica): void {
    const { root, log } = this.#place;
    const { path, replicaId, replication } = replica;
    const [{ state, stored }] = replication.databases();
    log.warn(`the directory of a database is gone: ${path}`, {
      database: path,
      stored: stored?.tx ?? null,
      hint: `Its backup stays in ${root.url}; \`restore -replica-id ${replicaId}\` brings it back.`,
    });
    replica.gone = true;
    if (state !== 'stopped') {
      replication.drain();
      return;
    }
    // What it stopped for is gone with it.
    this.#replicas.delete(path);
    this.#context.supervisor.forget(replication);
  }

  #keep(work: Promise<unknown>): void {
    const kept: Promise<unknown> = work.finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }

  #positions(): ImageReplica[] {
    return [...this.#replicas.values()].map(({ replicaId, replication }) => {
      const [{ generation, stored }] = replication.databases();
      const name = generation === null ? null : (parseGenerationName(generation)?.name ?? null);
      return { replicaId, position: name && stored ? { generation: name, tx: stored.tx, crc: stored.crc } : null };
    });
  }

  /** A destination that has answered for one has answered for all; until then nobody waits for a log alone. */
  databases(): readonly DatabaseStatus[] {
    const state = this.#state;
    return [...this.#replicas.values()].map(({ replication }) => {
      const [status] = replication.databases();
      if (state === 'answered') return { ...status, storeAnswered: true };
      if (state === 'asking') return { ...status, state: 'starting' };
      return { ...status, state: 'stopped', lastError: this.#errorOf(state) };
    });
  }

  images(): readonly ServerImageStatus[] {
    const status = this.#images.status();
    const state = this.#state;
    const { failing = null } = this.#destination.counters();
    const lastError = failing === null || status.state === 'stopped' ? status.lastError : failing;
    if (state === 'answered') return [{ ...status, storeAnswered: true, lastError }];
    if (state === 'asking') return [{ ...status, state: 'starting', lastError }];
    return [{ ...status, state: 'stopped', lastError: this.#errorOf(state) }];
  }

  #errorOf({ failed, at }: Failure): NonNullable<DatabaseStatus['lastError']> {
    const code = failed instanceof ReplicateError ? failed.code : 'UNEXPECTED';
    return { code, message: errorMessage(failed), at };
  }

  stores(): readonly StoreCounters[] {
    const replicas = [...this.#replicas.values()].flatMap(({ replication }) => replication.stores());
    return [this.#destination.counters(), ...replicas];
  }
}
