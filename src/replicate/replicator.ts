/**
 * Replicates one database to one destination: waits for a log, takes the head, streams, hands over, and begins again
 * where the log turned out to be another one or this machine failed for a while.
 *
 * Responsible for: the order of these, and what ends for good. Not responsible for: what an episode does (episode.ts),
 * what a start decides (start.ts), retries (the client).
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Bell } from '../capture/directory-bell.ts';
import { LogDamagedError } from '../capture/log-damage.ts';
import type { LogSource } from '../capture/log-source.ts';
import { Backoff } from '../core/backoff.ts';
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { type LocalFileError, primaryError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ProcessIdentity } from '../core/process-identity.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { Service } from '../core/service.ts';
import type { DatabaseStatus } from '../core/status.ts';
import type { GenerationReason } from '../layout/generation-document.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { CLOG_DIR, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import { runEpisode } from './episode.ts';
import { carriedOn, type EpisodeEnd, judgeEnd } from './episode-end.ts';
import { ReplicatorStatus } from './replicator-status.ts';
import { noLogError, sayAgain, sayUnstored } from './replicator-words.ts';
import { SourceWait } from './source-wait.ts';
import { start } from './start.ts';
import type { Carried } from './start-options.ts';
import type { Started } from './take-head.ts';
import { UnreadableLog } from './unreadable-log.ts';
import type { Writer } from './writer.ts';

/** Episodes that end sooner than this are no calm: what follows them waits longer and longer. */
const CALM_MS = 60_000;
const PAUSE_MS = { firstMs: 500, maxMs: 60_000 };
/** One pass looks again at a log that changed under it, but not for ever. */
const ONCE_EPISODES_MAX = 3;

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

/** How an episode failed, and what the next one must know of it. */
interface Failure {
  readonly end: EpisodeEnd;
  readonly error: unknown;
  readonly carried: Carried;
}

type Begun =
  | { readonly kind: 'started'; readonly started: Started }
  | { readonly kind: 'drained' }
  | { readonly kind: 'given-up'; readonly error: unknown };

interface EpisodeFacts {
  /** How the one before ended; null for the first. */
  readonly before: Failure | null;
  /** When it began, in monotonic ms. */
  readonly since: number;
  readonly writer: Writer;
  readonly mayBegin: (reason: GenerationReason) => boolean;
}

const cryptoHex = (bytes: number): string => randomBytes(bytes).toString('hex');

export class Replicator implements Service {
  readonly name: string;
  readonly #options: ReplicatorOptions;
  readonly #source: LogSource;
  readonly #snapshotsDirectory: string;
  readonly #status: ReplicatorStatus;
  readonly #drain = new AbortController();
  readonly #backoff: Backoff;
  readonly #wait: SourceWait;
  readonly #unreadable: UnreadableLog;
  /** Whether this process has begun a generation. */
  #hasBegun = false;
  /** The damage behind which this process has begun a generation. */
  #passedOver: LogDamagedError | null = null;

  constructor(options: ReplicatorOptions) {
    const { database, client, files, clock, random } = options;
    this.name = `${database} → ${client.url}`;
    this.#options = options;
    this.#source = { files, directory: join(database, CLOG_DIR) };
    this.#snapshotsDirectory = join(database, SNAPSHOTS_DIR);
    this.#status = new ReplicatorStatus({ database, destination: client.url }, { clock });
    this.#backoff = new Backoff({ ...PAUSE_MS, ...(random && { random }) });
    this.#unreadable = new UnreadableLog(this.#source);
    this.#wait = new SourceWait({
      ...options,
      source: this.#source,
      snapshotsDirectory: this.#snapshotsDirectory,
      draining: this.#drain.signal,
    });
  }

  status(): DatabaseStatus {
    return this.#status.snapshot();
  }

  /** One last sync of what is there, then release and end. */
  drain(): void {
    this.#drain.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#episodes(signal);
    } catch (error) {
      this.#status.failed(error);
      throw error;
    } finally {
      this.#status.state = 'stopped';
    }
  }

  async #episodes(signal: AbortSignal): Promise<void> {
    const { once, clock, log, writer, randomHex = cryptoHex } = this.#options;
    let before: Failure | null = null;
    for (let episode = 1; ; episode += 1) {
      const since = clock.monotonic();
      const failure: Failure | null = await this.#episode(
        {
          before,
          since,
          // What was sent under the session before is told apart from what this one sends.
          writer: episode === 1 ? writer : { ...writer, session: randomHex(16) },
          // One pass begins one generation; behind damage one more, since the first holds what stands before it.
          mayBegin: (reason) => !once || !this.#hasBegun || reason === 'damaged',
        },
        signal,
      );
      if (failure === null) {
        // All that could be stored is, but there is a hole: the exit code of a pass must say so.
        if (once && this.#passedOver !== null) throw this.#passedOver;
        return;
      }
      const { end, error } = failure;
      const onceMore = end !== 'passing' && episode < ONCE_EPISODES_MAX;
      if (this.#drain.signal.aborted && end !== 'final') sayUnstored(log, this.#status);
      if (end === 'final' || signal.aborted || this.#drain.signal.aborted || (once && !onceMore)) throw error;
      this.#status.failed(error);
      this.#status.state = 'starting';
      await this.#pause(failure, { lastedMs: clock.monotonic() - since, signal });
      // Told to end meanwhile, it looks once more: what failed may work now.
      before = failure;
    }
  }

  /** Null when it ended as it should. */
  async #episode(given: EpisodeFacts, signal: AbortSignal): Promise<Failure | null> {
    const { before, since, writer } = given;
    let started: Started | null = null;
    try {
      const begun = await this.#start(given, signal);
      if (begun.kind === 'drained') return null;
      if (begun.kind === 'given-up') return { end: 'final', error: begun.error, carried: {} };
      ({ started } = begun);
      this.#hasBegun ||= started.isNew;
      await this.#stream(started, signal);
      return null;
    } catch (error) {
      const known: Carried = started === null ? (before?.carried ?? {}) : { endedSession: writer.session };
      const now = this.#options.clock.monotonic();
      const unreadable = this.#unreadable.note(primaryError(error), { since, now, progress: this.#status.progress });
      const damage = unreadable && started && (await this.#damageBehind(unreadable, started, signal));
      const cause = damage ?? error;
      return { end: judgeEnd(cause), error: cause, carried: carriedOn(cause, { known, unreadable }) };
    }
  }

  /** Where what stands before a bad sector is stored, it is as damage is. */
  async #damageBehind(cause: LocalFileError, started: Started, signal: AbortSignal): Promise<LogDamagedError | null> {
    const { tail, stored } = { tail: this.#status.tail ?? started.tail, stored: this.#status.snapshot().stored };
    const next = stored === null ? started.tail.nextTx : stored.tx + 1n;
    return tail.nextTx === next ? this.#unreadable.damageAt(tail, { cause, signal }) : null;
  }

  async #start({ before, writer, mayBegin }: EpisodeFacts, signal: AbortSignal): Promise<Begun> {
    const { once, standby = false, database, clock } = this.#options;
    for (;;) {
      // Told to end while it waits, it looks once more: a server that has just ended may have written its first commits.
      const isLastLook = this.#drain.signal.aborted;
      const outcome = await start(
        {
          ...this.#options,
          writer,
          source: this.#source,
          snapshotsDirectory: this.#snapshotsDirectory,
          onLog: () => {
            this.#status.state = 'starting';
            // Not known to be stored from here on: by a store that does not answer as little as by a base that is missing.
            // On standby another process stores it.
            if (!standby) this.#status.unstoredSince ??= clock.monotonic();
          },
          onAnswer: () => {
            this.#status.storeAnswered = true;
          },
          draining: this.#drain.signal,
          carried: before?.carried ?? {},
          mayBegin,
        },
        { signal },
      );
      switch (outcome.kind) {
        case 'started': {
          const { started, damage } = outcome;
          const isBehindDamage = started.generation.reason === 'damaged';
          if (started.isNew && isBehindDamage) this.#passedOver = damage;
          // A generation that began behind damage says so for as long as it is the one that is written.
          if (damage !== null || !isBehindDamage) this.#status.damaged(damage);
          return { kind: 'started', started };
        }
        case 'refused':
          return { kind: 'given-up', error: before?.error };
        case 'no-log':
          this.#status.state = 'waiting';
          this.#status.unstoredSince = null;
          if (once) return { kind: 'given-up', error: noLogError(database) };
          if (isLastLook) return { kind: 'drained' };
          await this.#wait.forLog({ signal });
          break;
        case 'no-base':
          if (once || isLastLook) return { kind: 'given-up', error: outcome.error };
          this.#status.state = 'starting';
          this.#status.unstoredSince ??= clock.monotonic();
          this.#status.failed(outcome.error);
          if (outcome.error instanceof LogDamagedError) this.#status.damaged(outcome.error);
          await this.#wait.forBase(outcome.error, { isMissing: outcome.isMissing, signal });
      }
    }
  }

  async #stream(started: Started, signal: AbortSignal): Promise<void> {
    const { generation, isNew, tail, stored } = started;
    this.#status.started(started);
    this.#options.log.info(stored === null ? 'replicating from the start of the log' : 'replicating', {
      generation: generation.generation,
      reason: isNew ? generation.reason : 'continue',
      from: tail.nextTx,
    });
    await runEpisode(
      started,
      {
        ...this.#options,
        source: this.#source,
        snapshotsDirectory: this.#snapshotsDirectory,
        status: this.#status,
        draining: this.#drain.signal,
      },
      { signal },
    );
  }

  /** A log that changed is looked at at once; what keeps failing, or changing, is looked at more and more seldom. */
  async #pause(
    { end, error }: Failure,
    { lastedMs, signal }: { lastedMs: number; signal: AbortSignal },
  ): Promise<void> {
    const { clock, log } = this.#options;
    if (lastedMs >= CALM_MS) this.#backoff.reset();
    const isFirst = this.#backoff.failures === 0;
    const ms = this.#backoff.nextDelayMs() * (isFirst && end !== 'passing' ? 0 : 1);
    sayAgain(log, error, { ms });
    if (ms === 0) return;
    const waiting = AbortSignal.any([signal, this.#drain.signal]);
    await clock.sleep(ms, { signal: waiting }).catch(() => signal.throwIfAborted());
  }
}
