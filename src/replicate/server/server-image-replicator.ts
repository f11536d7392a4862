/**
 * Keeps images of a server data directory's own files at one destination: waits for a server, takes the head of
 * `server/`, stores an image whenever something changed, hands over.
 *
 * Responsible for: the order of these. Not responsible for: what an image is (ImagePass), when one is due (ImageTurns),
 * the databases (a replicator each), retries of calls to the store (the client).
 */
import { join } from 'node:path';
import { type Bell, DirectoryBell } from '../../capture/directory-bell.ts';
import type { ByteBudget } from '../../core/byte-budget.ts';
import type { Clock } from '../../core/clock.ts';
import { ConfigurationError, LocalFileError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { ReadableFiles } from '../../core/readable-files.ts';
import type { Service } from '../../core/service.ts';
import type { ServerImageStatus } from '../../core/status.ts';
import type { ImageReplica } from '../../layout/image-manifest.ts';
import { isExtraName } from '../../layout/image-path.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import { REPLICAS_DIR } from '../../spacetimedb/file-names.ts';
import { CONTROL_DB_DIR } from '../../spacetimedb/server-files.ts';
import type { Writer } from '../writer.ts';
import { ChangeAlarm } from './change-alarm.ts';
import { ImagePass } from './image-pass.ts';
import { startImages, type StartedImages } from './image-start.ts';
import { ImageTurns, type TurnResult } from './image-turns.ts';
import { ImageUploader } from './image-uploader.ts';
import { ProgramUploader } from './program-uploader.ts';
import { ServerImageStatusKeeper } from './server-image-status.ts';
import { waitForServer } from './server-wait.ts';
import type { ExtraFile } from './survey.ts';

const INTERVAL_MS = 10_000;
/** A single pass, and the last one of a service, try so often, and wait no longer than this in between. */
const LAST_TRIES = 20;
const LAST_WAIT_MS = 1_000;

export interface ServerImageReplicatorOptions {
  /** The server data directory. */
  readonly dataDirectory: string;
  /** Stored below `extra/`, names unique. */
  readonly extraFiles: readonly ExtraFile[];
  readonly files: ReadableFiles;
  /** Of the destination's root, where format.json lies. */
  readonly client: ReplicaClient;
  /** The same destination below `SERVER_PREFIX`. */
  readonly serverClient: ReplicaClient;
  readonly writer: Writer;
  readonly leaseTtlMs: number;
  /** May take the head of another owner. Default false. */
  readonly takeover?: boolean;
  /** Wait for the lease for as long as it is held. Default false. */
  readonly standby?: boolean;
  /** How far each database is stored now; asked at each copy. Which ones are there is seen in the directory itself. */
  readonly replicas: () => readonly ImageReplica[];
  readonly clock: Clock;
  readonly log: Log;
  /** Store one image, release, and end; a missing server is an error then. */
  readonly once: boolean;
  readonly compressionLevel: number;
  readonly budget: ByteBudget;
  /** Between two looks where no event tells of a change. Default: 10 s. */
  readonly intervalMs?: number;
  /** Default: events of the file system. */
  readonly openBell?: (directories: readonly string[], options: { readonly log: Log }) => Bell;
}

export class ServerImageReplicator implements Service {
  readonly name: string;
  readonly #options: ServerImageReplicatorOptions;
  readonly #client: ReplicaClient;
  readonly #status: ServerImageStatusKeeper;
  readonly #drain = new AbortController();

  constructor(options: ServerImageReplicatorOptions) {
    const { dataDirectory, client, serverClient, clock, extraFiles } = options;
    requireExtraNames(extraFiles);
    this.#client = serverClient;
    this.name = `${dataDirectory} → ${serverClient.url}`;
    this.#options = { ...options, log: options.log.child({ dataDirectory }) };
    this.#status = new ServerImageStatusKeeper({ dataDirectory, destination: client.url }, { clock });
  }

  status(): ServerImageStatus {
    return this.#status.snapshot();
  }

  /** One last image if something changed, then release and end. */
  drain(): void {
    this.#drain.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      if (!(await this.#waitForServer(signal))) return;
      this.#status.state = 'starting';
      await this.#keep(await this.#start(signal), signal);
    } catch (error) {
      this.#status.failed(error);
      throw error;
    } finally {
      this.#status.state = 'stopped';
    }
  }

  /** False when told to end before there was a server. */
  #waitForServer(signal: AbortSignal): Promise<boolean> {
    return waitForServer({
      ...this.#options,
      sleep: async (ms) => {
        await this.#sleep(ms, signal);
        return this.#drain.signal.aborted;
      },
      onFailure: (error) => this.#status.failed(error),
    });
  }

  #start(signal: AbortSignal): Promise<StartedImages> {
    const { client, takeover = false, standby = false } = this.#options;
    return startImages(
      {
        ...this.#options,
        root: client,
        client: this.#client,
        takeover,
        standby,
        onAnswer: () => {
          this.#status.storeAnswered = true;
        },
        draining: this.#drain.signal,
      },
      { signal },
    );
  }

  async #keep(started: StartedImages, signal: AbortSignal): Promise<void> {
    const { once, log, intervalMs = INTERVAL_MS } = this.#options;
    const { lease, generation, newest } = started;
    this.#status.started(started);
    log.info('keeping images of the server', { generation: generation.generation, newest: newest?.name ?? null });
    const turns = this.#makeTurns(started, intervalMs);
    if (!once) await this.#follow(turns, { intervalMs, signal });
    await this.#last(turns, signal);
    await lease.release(null, { signal });
    log.info('released the images', { generation: generation.generation });
    // All that could be is stored and handed over, but not all: the exit code must not say so.
    if (turns.failure !== null) throw turns.failure;
  }

  async #follow(
    turns: ImageTurns,
    { intervalMs, signal }: { readonly intervalMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { dataDirectory, clock, log, openBell = openDirectoryBell } = this.#options;
    const watched = [dataDirectory, join(dataDirectory, CONTROL_DB_DIR), join(dataDirectory, REPLICAS_DIR)];
    await using bell = openBell(watched, { log });
    const alarm = new ChangeAlarm(bell, { clock });
    await alarm.arm();
    while (!this.#drain.signal.aborted) {
      const { waitMs } = await this.#turn(turns, signal);
      // A retry keeps to its pace, whatever rings.
      if (waitMs !== null && waitMs < intervalMs) await this.#sleep(waitMs, signal);
      else await this.#unlessDrained((either) => alarm.wait(intervalMs, { signal: either }), signal);
    }
  }

  async #last(turns: ImageTurns, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const { settled, waitMs } = await this.#turn(turns, signal);
      if (settled || tries === LAST_TRIES) return;
      await this.#options.clock.sleep(Math.min(waitMs ?? 0, LAST_WAIT_MS), { signal });
    }
  }

  async #turn(turns: ImageTurns, signal: AbortSignal): Promise<TurnResult> {
    try {
      return await turns.turn({ signal });
    } catch (error) {
      if (!(error instanceof LocalFileError)) throw error;
      // A single pass ends with it, once the head is released.
      return { settled: this.#options.once, waitMs: turns.afterLocalFailure(error) };
    }
  }

  #makeTurns({ lease, generation, newest, newestTime }: StartedImages, intervalMs: number): ImageTurns {
    const { log } = this.#options;
    const programs = new ProgramUploader({
      ...this.#options,
      client: this.#client,
      onStored: (hash) => {
        this.#status.programsStored += 1;
        log.debug('program stored', { hash });
      },
    });
    const images = new ImageUploader({
      ...this.#options,
      client: this.#client,
      lease,
      generation: generation.generation,
      newest,
      newestTime,
    });
    const pass = new ImagePass({ ...this.#options, programs, images, lease });
    return new ImageTurns({ ...this.#options, pass, status: this.#status, retryMsMax: intervalMs });
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return this.#unlessDrained((either) => this.#options.clock.sleep(ms, { signal: either }), signal);
  }

  /** Ends early when told to drain. @throws the signal's reason */
  async #unlessDrained(wait: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    try {
      await wait(AbortSignal.any([signal, this.#drain.signal]));
    } catch (error) {
      if (signal.aborted || !this.#drain.signal.aborted) throw error;
    }
  }
}

const openDirectoryBell: NonNullable<ServerImageReplicatorOptions['openBell']> = (directories, options) =>
  new DirectoryBell(directories, options);

function requireExtraNames(extraFiles: readonly ExtraFile[]): void {
  const seen = new Set<string>();
  for (const { name, path } of extraFiles) {
    if (!isExtraName(name)) {
      throw new ConfigurationError(`the extra file ${path} cannot be stored under the name ${JSON.stringify(name)}`, {
        hint: 'A name must not begin with ".stdb-" nor hold a slash, a backslash or a control character.',
      });
    }
    if (seen.has(name)) throw new ConfigurationError(`two extra files are named ${name}`);
    seen.add(name);
  }
}
