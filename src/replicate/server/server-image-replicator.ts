/**
 * Keeps images of a server data directory's own files at one destination: waits for a server, takes the head of
 * `server/`, stores an image whenever something changed, hands over.
 *
 * Responsible for: the order of these. Not responsible for: what an image is (ImagePass), when one is due (ImageTurns),
 * the databases (a replicator each), retries of calls to the store (the client).
 */
import { Backoff } from '../../core/backoff.ts';
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
import type { Writer } from '../writer.ts';
import { ImagePass } from './image-pass.ts';
import { startImages, type StartedImages } from './image-start.ts';
import { ImageTurns, type TurnResult } from './image-turns.ts';
import { ImageUploader } from './image-uploader.ts';
import { ProgramUploader } from './program-uploader.ts';
import { ServerImageStatusKeeper } from './server-image-status.ts';
import { type ExtraFile, survey } from './survey.ts';

const INTERVAL_MS = 10_000;
const WAIT_FOR_SERVER_MS = 1_000;
/** A wrong path is waited for like a right one: said once in ten minutes. */
const WAITS_BEFORE_WARNING = 600;
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
  /** Between two looks. Default: 10 s. */
  readonly intervalMs?: number;
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
    this.#options = options;
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
  async #waitForServer(signal: AbortSignal): Promise<boolean> {
    const { once, dataDirectory, log } = this.#options;
    const backoff = new Backoff({ firstMs: WAIT_FOR_SERVER_MS });
    for (let waits = 0; ; waits += 1) {
      let waitMs = WAIT_FOR_SERVER_MS;
      try {
        if ((await survey(this.#options)) !== null) return true;
        if (once) throw noServer(dataDirectory);
        if (waits === 0) log.info('waiting for a server to make its control-db', { dataDirectory });
        else if (waits % WAITS_BEFORE_WARNING === 0) {
          log.warn(`still waiting for a control-db in ${dataDirectory}: no image of this server is stored`);
        }
      } catch (error) {
        if (once || !(error instanceof LocalFileError)) throw error;
        if (backoff.failures === 0) log.warn(error.message);
        this.#status.failed(error);
        waitMs = backoff.nextDelayMs();
      }
      await this.#sleep(waitMs, signal);
      if (this.#drain.signal.aborted) return false;
    }
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
    while (!once && !this.#drain.signal.aborted) {
      const { waitMs } = await this.#turn(turns, signal);
      await this.#sleep(Math.min(waitMs ?? intervalMs, intervalMs), signal);
    }
    await this.#last(turns, signal);
    await lease.release(null, { signal });
    log.info('released the images', { generation: generation.generation });
    // All that could be is stored and handed over, but not all: the exit code must not say so.
    if (turns.failure !== null) throw turns.failure;
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

  /** Ends early when told to drain. @throws the signal's reason */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(ms, { signal: AbortSignal.any([signal, this.#drain.signal]) });
    } catch (error) {
      if (signal.aborted || !this.#drain.signal.aborted) throw error;
    }
  }
}

const noServer = (dataDirectory: string): ConfigurationError =>
  new ConfigurationError(`there is no control-db in ${dataDirectory}`, {
    hint: "Give a server's data directory, after the server has written to it.",
    facts: { dataDirectory },
  });

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
