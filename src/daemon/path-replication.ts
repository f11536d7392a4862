/**
 * A configured path to one destination, whatever it turns out to be: waits until something is there, then replicates it
 * as one database or as a whole server data directory.
 */
import { ConfigurationError, errorMessage, LocalFileError } from '../core/errors.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { DatabaseStatus, ServerImageStatus, StoreCounters } from '../core/status.ts';
import { ReplicatorStatus } from '../replicate/replicator-status.ts';
import { classifyDirectory, type DirectoryKind } from '../spacetimedb/classify-directory.ts';
import { DatabaseReplication } from './database-replication.ts';
import type { Replication, ReplicationContext, ReplicationPlace } from './replication.ts';
import { ServerReplication, type ServerReplicationOptions } from './server-replication.ts';

const WAIT_MS = 1_000;
/** A wrong path is waited for like a right one: said once in ten minutes. */
const WAITS_BEFORE_WARNING = 600;

export class PathReplication implements Replication {
  readonly name: string;
  readonly #context: ReplicationContext;
  readonly #place: ReplicationPlace;
  readonly #server: ServerReplicationOptions;
  readonly #drain = new AbortController();
  readonly #waiting: ReplicatorStatus;
  #found: Replication | null = null;

  constructor(context: ReplicationContext, place: ReplicationPlace, server: ServerReplicationOptions) {
    const { path, root } = place;
    this.name = `${path} → ${root.url}`;
    this.#context = context;
    this.#place = place;
    this.#server = server;
    this.#waiting = new ReplicatorStatus({ database: path, destination: root.url }, context);
  }

  /** Whether what it ends with is that of others. */
  get isContainer(): boolean {
    return this.#found instanceof ServerReplication;
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      const kind = await this.#wait(signal);
      if (kind === null) return;
      this.#found =
        kind === 'server'
          ? new ServerReplication(this.#context, this.#place, this.#server)
          : new DatabaseReplication(this.#context, this.#place);
    } catch (error) {
      this.#waiting.failed(error);
      throw error;
    } finally {
      this.#waiting.state = 'stopped';
    }
    if (this.#drain.signal.aborted) this.#found.drain();
    await this.#found.run(signal);
  }

  drain(): void {
    this.#drain.abort();
    this.#found?.drain();
  }

  /** Null when told to end before there was anything. */
  async #wait(signal: AbortSignal): Promise<'replica' | 'server' | null> {
    const { clock, once } = this.#context;
    const awake = AbortSignal.any([signal, this.#drain.signal]);
    for (let waits = 0; ; waits += 1) {
      // Told to end while it waits, it looks once more: a server that has just ended may have made its first database.
      const isLastLook = this.#drain.signal.aborted;
      const found = await this.#look();
      if (found === 'replica' || found === 'server') return found;
      // Whether something is there that was never stored is not known then: that is no good end.
      if (isLastLook && found instanceof LocalFileError) throw found;
      if (isLastLook) return null;
      if (once) throw new ConfigurationError(`there is no database in ${this.#place.path}`);
      this.#say(found, waits);
      await clock.sleep(WAIT_MS, { signal: awake }).catch(() => signal.throwIfAborted());
    }
  }

  /** In the service a directory that cannot be read is waited for as well. */
  async #look(): Promise<DirectoryKind['kind'] | LocalFileError> {
    try {
      return (await classifyDirectory(this.#context.files, this.#place.path)).kind;
    } catch (error) {
      if (this.#context.once || !(error instanceof LocalFileError)) throw error;
      return error;
    }
  }

  #say(found: DirectoryKind['kind'] | LocalFileError, waits: number): void {
    const { path, log } = this.#place;
    if (found instanceof LocalFileError) {
      this.#waiting.failed(found);
      const facts = { reason: errorMessage(found), ...(found.hint === undefined ? {} : { hint: found.hint }) };
      if (waits % WAITS_BEFORE_WARNING === 0) log.warn(`${path} cannot be read: nothing of it is backed up`, facts);
    } else if (waits === 0) log.info('waiting for a commit log', { directory: path });
    else if (waits % WAITS_BEFORE_WARNING === 0) {
      log.warn(`still waiting for a commit log in ${path}: nothing of it is backed up`, {
        hint: 'Check this path in the configuration, and that its server runs.',
      });
    }
  }

  databases(): readonly DatabaseStatus[] {
    return this.#found?.databases() ?? [this.#waiting.snapshot()];
  }

  images(): readonly ServerImageStatus[] {
    return this.#found?.images() ?? [];
  }

  stores(): readonly StoreCounters[] {
    return this.#found?.stores() ?? [];
  }
}

/**
 * A path that is not there yet is waited for; one that is something else is a mistake, told before anything begins.
 *
 * @throws ConfigurationError, LocalFileError
 */
export async function requireSource(files: ReadableFiles, path: string, { once }: { once: boolean }): Promise<void> {
  const { kind } = await classifyDirectory(files, path);
  if (kind === 'replica' || kind === 'server' || (!once && kind !== 'other')) return;
  const facts = { database: path };
  if (kind === 'absent') {
    throw new ConfigurationError(`${path} does not exist`, { hint: 'Check the path of the database.', facts });
  }
  throw new ConfigurationError(`${path} is not a SpacetimeDB database: it has no clog directory, and no replicas`, {
    hint: 'Give the data directory of the server, or the directory of one database in it: …/replicas/<id>.',
    facts,
  });
}
