/**
 * Replicates one database to one destination: waits for a log, takes the head, streams, hands over.
 *
 * Responsible for: the order of these, and what happens at the end. Not responsible for: what is read (capture/), how an
 * object is cut and sent (LogUploader), what a snapshot is (SnapshotUploader), retries (the client).
 */
import { join } from 'node:path';
import { type Bell, DirectoryBell } from '../capture/directory-bell.ts';
import type { LogSource } from '../capture/local-log.ts';
import { LogTailer } from '../capture/log-tailer.ts';
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { ConfigurationError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ProcessIdentity } from '../core/process-identity.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { Service } from '../core/service.ts';
import type { DatabaseStatus } from '../core/status.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { CLOG_DIR, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import { LogObjectCutter } from './log-object-cutter.ts';
import { LogUploader } from './log-uploader.ts';
import { Pacer } from './pacer.ts';
import { ReplicatorStatus } from './replicator-status.ts';
import { SnapshotUploader } from './snapshot-uploader.ts';
import { StallWatch } from './stall-watch.ts';
import { start, type Started } from './start.ts';
import type { Writer } from './writer.ts';

const WAIT_FOR_LOG_MS = 1_000;
/** A wrong path is waited for like a right one: said once in ten minutes. */
const WAITS_BEFORE_WARNING = 600;
/** How often a log that says nothing of itself is read to its end and beyond: what no event and no size has told. */
const IDLE_READ_MS = 300_000;
/** In one pass, how often a snapshot that changed while it was read is tried again. */
const ONCE_SNAPSHOT_TRIES = 3;

export interface ReplicatorOptions {
  /** The replica directory. */
  readonly database: string;
  readonly files: ReadableFiles;
  readonly client: ReplicaClient;
  readonly writer: Writer;
  readonly leaseTtlMs: number;
  /** Of level 0. */
  readonly intervalMs: number;
  readonly compressionLevel: number;
  readonly budget: ByteBudget;
  /** Kept for the small log objects of databases that keep up. Default: `budget`. */
  readonly steadyBudget?: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  /** Store what is there, release, and end; a missing log is an error then. */
  readonly once: boolean;
  /** Whether another owner's head may be taken. Default: no. */
  readonly takeover?: boolean;
  /** Whether to wait for a lease of our owner for as long as it is held, instead of ending (exit 11). Default: no. */
  readonly standby?: boolean;
  /** Gives what rings when something in these directories changes. Default: DirectoryBell. */
  readonly openBell?: (directories: readonly string[], options: { readonly log: Log }) => Bell;
  /** So many random bytes as hex digits, for names. Default: by node:crypto. */
  readonly randomHex?: (bytes: number) => string;
  /** In [0, 1), for jitter. Default: Math.random. */
  readonly random?: () => number;
  /** Whether a process is proven to have ended. Default: by this machine's /proc. */
  readonly isProvenDead?: (process: ProcessIdentity) => Promise<boolean>;
}

const openDirectoryBell: NonNullable<ReplicatorOptions['openBell']> = (directories, options) =>
  new DirectoryBell(directories, options);

export class Replicator implements Service {
  readonly name: string;
  readonly #options: ReplicatorOptions;
  readonly #source: LogSource;
  readonly #snapshotsDirectory: string;
  readonly #status: ReplicatorStatus;
  readonly #drain = new AbortController();
  readonly #stallWatch: StallWatch;
  #pacer: Pacer | null = null;

  constructor(options: ReplicatorOptions) {
    const { database, client, files, clock } = options;
    this.name = `${database} → ${client.url}`;
    this.#options = options;
    this.#source = { files, directory: join(database, CLOG_DIR) };
    this.#snapshotsDirectory = join(database, SNAPSHOTS_DIR);
    this.#stallWatch = new StallWatch({ source: this.#source, log: options.log, once: options.once });
    this.#status = new ReplicatorStatus({ database, destination: client.url }, { clock });
  }

  status(): DatabaseStatus {
    return this.#status.snapshot();
  }

  /** One last sync of what is there, then release and end. */
  drain(): void {
    this.#drain.abort();
    this.#pacer?.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      const started = await this.#start(signal);
      if (started !== null) await this.#stream(started, signal);
    } catch (error) {
      this.#status.failed(error);
      throw error;
    } finally {
      this.#status.state = 'stopped';
    }
  }

  /** Null when told to end before there was a log. */
  async #start(signal: AbortSignal): Promise<Started | null> {
    const { log, clock, once, database } = this.#options;
    const waiting = AbortSignal.any([signal, this.#drain.signal]);
    for (let waits = 0; ; waits += 1) {
      // Told to end while it waits, it looks once more: a server that has just ended may have written its first commits.
      const isLastLook = this.#drain.signal.aborted;
      const started = await start(
        {
          ...this.#options,
          source: this.#source,
          snapshotsDirectory: this.#snapshotsDirectory,
          onLog: () => {
            this.#status.state = 'starting';
          },
          onAnswer: () => {
            this.#status.storeAnswered = true;
          },
          draining: this.#drain.signal,
        },
        { signal },
      );
      if (started !== null) return started;
      if (isLastLook) return null;
      this.#status.state = 'waiting';
      if (once) {
        throw new ConfigurationError(`there is no commit log in ${database}`, {
          hint: 'Give the directory of one database: …/replicas/<id>, after the server has written to it.',
          facts: { database },
        });
      }
      if (waits === 0) log.info('waiting for a commit log', { directory: this.#source.directory });
      else if (waits % WAITS_BEFORE_WARNING === 0) {
        log.warn(`still waiting for a commit log in ${database}: nothing of it is backed up`, {
          hint: 'Check the path of this database in the configuration, and that its server runs.',
        });
      }
      await clock.sleep(WAIT_FOR_LOG_MS, { signal: waiting }).catch(() => signal.throwIfAborted());
    }
  }

  async #stream(started: Started, signal: AbortSignal): Promise<void> {
    const { client, clock, log, budget, steadyBudget, compressionLevel, intervalMs, files } = this.#options;
    const { openBell = openDirectoryBell } = this.#options;
    const { lease, generation, tail, stored, listedSnapshots } = started;
    this.#status.started(started);
    log.info(stored === null ? 'replicating from the start of the log' : 'replicating', {
      generation: generation.generation,
      reason: lease.document.generation === listedSnapshots.generation ? 'continue' : generation.reason,
      from: tail.nextTx,
    });
    await using tailer = new LogTailer({ files, directory: this.#source.directory, from: tail });
    await using bell = openBell([this.#source.directory, this.#snapshotsDirectory], { log });
    const pacer = new Pacer({
      clock,
      bell,
      intervalMs,
      hasGrown: () => tailer.hasGrown(),
      extent: () => tailer.extent(),
    });
    this.#pacer = pacer;
    this.#status.follow(() => tailer.position);
    const uploader = new LogUploader({
      client,
      lease,
      cutter: new LogObjectCutter({ tailer, generation: generation.generation, compressionLevel }),
      budget,
      steadyBudget,
      stored,
      availableBytes: () => tailer.bytesAhead(),
      isInNewestSegment: () => tailer.isInNewestSegment(),
      onStored: (object, position) => {
        this.#status.storedObject(object, position);
        log.debug('stored', { key: object.key, commits: object.commits, bytes: object.bytes });
      },
    });
    const snapshots = new SnapshotUploader({
      client,
      source: this.#source,
      directory: this.#snapshotsDirectory,
      generation,
      listed: listedSnapshots,
      lease,
      budget,
      compressionLevel,
      log,
      stored: () => uploader.stored,
      timeUpTo: (tx) => this.#status.timeUpTo(tx),
      onStored: (facts) => {
        this.#status.storedSnapshot(facts.tx);
        log.info('snapshot stored', { ...facts });
      },
      onPack: (bytes) => this.#status.storedPack(bytes),
      onNewest: (tx) => {
        this.#status.newestSnapshot = tx;
      },
    });
    await this.#loop({ tailer, pacer, uploader, snapshots, signal });
    await lease.release(uploader.stored, { signal });
    log.info('released', { generation: generation.generation, tx: uploader.stored?.tx ?? null });
    // The log is safe and handed over, but not all was stored: the exit code must not say so.
    if (snapshots.failure !== null) throw snapshots.failure;
  }

  async #loop({ tailer, pacer, uploader, snapshots, signal }: Parts & { signal: AbortSignal }): Promise<void> {
    const { once } = this.#options;
    const background = new SnapshotTask(snapshots, { signal, onFailure: () => pacer.wake() });
    const stop = background.signal;
    try {
      const { clock } = this.#options;
      let found: Awaited<ReturnType<Pacer['wait']>> = 'due';
      let readAt = 0;
      while (!once && !this.#drain.signal.aborted) {
        // A log that ends in a whole commit and has not grown needs no reading; now and then it is read all the same.
        const atEnd = tailer.stall === null || tailer.stall.kind === 'end';
        if (found !== 'quiet' || !atEnd || clock.monotonic() - readAt >= IDLE_READ_MS) {
          await this.#sync({ tailer, pacer, uploader, signal: stop });
          readAt = clock.monotonic();
        }
        background.begin();
        found = await pacer.wait({ signal: stop });
      }
      await this.#sync({ tailer, pacer, uploader, signal: stop });
      await background.settled();
      for (let tries = 0; once && tries < ONCE_SNAPSHOT_TRIES; tries += 1) {
        if (!(await snapshots.upload({ signal: stop })).pending) break;
      }
    } finally {
      await background.end();
    }
  }

  /** Stores all that is there now. */
  async #sync({ tailer, pacer, uploader, signal }: Omit<Parts, 'snapshots'> & { signal: AbortSignal }): Promise<void> {
    const status = this.#status;
    status.unstoredSince ??= pacer.pendingSince ?? this.#options.clock.monotonic();
    const objects = await uploader.upload({ signal });
    if (objects > 0) pacer.cut();
    const isBlocked = await this.#stallWatch.judge(tailer, { readOn: () => uploader.upload({ signal }), signal });
    if (!isBlocked) status.unstoredSince = null;
  }
}

interface Parts {
  readonly tailer: LogTailer;
  readonly pacer: Pacer;
  readonly uploader: LogUploader;
  readonly snapshots: SnapshotUploader;
}

/** Uploads snapshots beside the log, one pass at a time; its failure ends the replicator. */
class SnapshotTask {
  readonly #snapshots: SnapshotUploader;
  readonly #failed = new AbortController();
  readonly #ended = new AbortController();
  readonly #onFailure: () => void;
  /** Aborted when the replicator is, and when a pass has failed. */
  readonly signal: AbortSignal;
  #pass: Promise<void> | null = null;

  constructor(snapshots: SnapshotUploader, { signal, onFailure }: { signal: AbortSignal; onFailure: () => void }) {
    this.#snapshots = snapshots;
    this.#onFailure = onFailure;
    this.signal = AbortSignal.any([signal, this.#failed.signal]);
  }

  begin(): void {
    this.#pass ??= this.#run().finally(() => {
      this.#pass = null;
    });
  }

  async #run(): Promise<void> {
    try {
      await this.#snapshots.upload({ signal: AbortSignal.any([this.signal, this.#ended.signal]) });
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failed.abort(error);
      this.#onFailure();
    }
  }

  async settled(): Promise<void> {
    await this.#pass;
    this.signal.throwIfAborted();
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await this.#pass;
  }
}
