/**
 * Drills in the daemon: each configured path from each of its destinations once in every period, one at a time.
 *
 * When is told by the wall clock and the place's name alone, so that they are spread over the period, and a restart
 * neither repeats a drill nor puts it off. A drill that was due while nothing ran is not made up for.
 *
 * Invariant: a drill ends, and its directory is gone, before `run` ends.
 */
import { tmpdir } from 'node:os';
import { blake3Hex } from '../core/checksum.ts';
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage, NoBackupError, primaryError, ReplicateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Service } from '../core/service.ts';
import type { DrillStatus } from '../core/status.ts';
import type { Micros } from '../core/types.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { type DrillReport, runDrill } from './drill-run.ts';

export interface DrillPlace {
  /** As configured. */
  readonly path: string;
  /** Of the destination's root, with retries that end. */
  readonly client: ReplicaClient;
  /** Whether anything of it has been stored, as far as this process knows. */
  readonly isStored: () => boolean;
  readonly log: Log;
}

export interface DrillScheduleOptions {
  readonly places: readonly DrillPlace[];
  readonly everyMs: number;
  readonly exec: { readonly command: string; readonly timeoutMs: number } | null;
  /** Null: the system's directory for temporary files. */
  readonly scratch: string | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly budget: ByteBudget;
  readonly clock: Clock;
}

/** Requests at once: a drill has time. */
const PARALLELISM = 2;

type Told = Omit<DrillStatus, 'database' | 'destination'>;

interface Job {
  readonly place: DrillPlace;
  status: Told;
  dueMs: number;
}

export class DrillSchedule implements Service {
  readonly name = 'drills';
  readonly #options: DrillScheduleOptions;
  readonly #jobs: readonly Job[];
  readonly #drain = new AbortController();

  constructor(options: DrillScheduleOptions) {
    this.#options = options;
    this.#jobs = options.places.map((place) => ({
      place,
      status: {
        running: false,
        lastSuccess: null,
        lastDurationSeconds: null,
        lastPosition: null,
        successes: 0,
        failures: 0,
        lastFailure: null,
      },
      dueMs: dueAfter(nowMs(options.clock), { name: `${place.path} ${place.client.url}`, everyMs: options.everyMs }),
    }));
  }

  /** Never fails: a drill that does is told of by `statuses` and the log. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs } = this.#options;
    const stop = AbortSignal.any([signal, this.#drain.signal]);
    while (!stop.aborted) {
      const job = this.#jobs.reduce<Job | null>((best, next) => (best && best.dueMs <= next.dueMs ? best : next), null);
      if (job === null) return;
      const waitMs = job.dueMs - nowMs(clock);
      if (waitMs > 0) {
        // The wall clock may be set meanwhile: it is looked at again now and then.
        await clock.sleep(Math.min(waitMs, LOOK_AGAIN_MS), { signal: stop }).catch(() => undefined);
        continue;
      }
      await this.#drill(job, stop);
      const { path, client } = job.place;
      job.dueMs = dueAfter(nowMs(clock), { name: `${path} ${client.url}`, everyMs });
    }
  }

  /** A drill under way is given up at once, and cleared away. */
  drain(): void {
    this.#drain.abort();
  }

  statuses(): readonly DrillStatus[] {
    return this.#jobs.map(({ place: { path, client }, status }) => ({
      database: path,
      destination: client.url,
      ...status,
    }));
  }

  async #drill(job: Job, signal: AbortSignal): Promise<void> {
    const { exec, scratch, env, budget, clock } = this.#options;
    const { client, log, isStored } = job.place;
    const begin = clock.monotonic();
    job.status = { ...job.status, running: true };
    try {
      const common = { client, seed: null, exec, env, budget, clock, signal, log: log.child({ drill: true }) };
      const report = await runDrill({ ...common, parallelism: PARALLELISM, scratch: scratch ?? tmpdir() });
      this.#succeeded(job, { report, seconds: (clock.monotonic() - begin) / 1000 });
    } catch (caught) {
      const error = primaryError(caught);
      if (signal.aborted) log.info('a drill was given up, and what it had restored is removed');
      else if (error instanceof NoBackupError && !isStored())
        log.info('nothing is stored yet that a drill could restore');
      else this.#failed(job, error);
    } finally {
      job.status = { ...job.status, running: false };
    }
  }

  #succeeded(job: Job, { report, seconds }: { readonly report: DrillReport; readonly seconds: number }): void {
    const { databases, plainBytes, restoreMs } = report;
    const position = databases[0]?.position ?? null;
    job.status = {
      ...job.status,
      lastSuccess: this.#options.clock.now(),
      lastDurationSeconds: seconds,
      lastPosition: position,
      successes: job.status.successes + 1,
    };
    const tx = databases.map(({ replicaId, position: at }) =>
      replicaId === null ? `${at.tx}` : `${replicaId}: ${at.tx}`,
    );
    const megabytesPerSecond = Number((plainBytes / 1000 / Math.max(1, restoreMs)).toFixed(1));
    job.place.log.info('a drill has proven that the backup can be restored', {
      tx: tx.join(', '),
      seconds: Number(seconds.toFixed(1)),
      plainBytes,
      megabytesPerSecond,
    });
    for (const warning of report.warnings) job.place.log.warn(`the drill: ${warning}`);
  }

  #failed(job: Job, error: unknown): void {
    const isKnown = error instanceof ReplicateError;
    const code = isKnown ? error.code : 'UNKNOWN';
    const message = errorMessage(error);
    const at: Micros = this.#options.clock.now();
    job.status = { ...job.status, failures: job.status.failures + 1, lastFailure: { code, message, at } };
    job.place.log.error(`a drill failed: ${message}`, {
      code,
      ...(isKnown ? error.facts : { error }),
      hint: (isKnown ? error.hint : undefined) ?? 'Run `stdb-replicate verify -deep` and `drill` by hand.',
    });
  }
}

const LOOK_AGAIN_MS = 60_000;

const nowMs = (clock: Clock): number => Number(clock.now() / 1000n);

/** The next moment of this name: later than `now`, at most one period. */
export function dueAfter(now: number, { name, everyMs }: { readonly name: string; readonly everyMs: number }): number {
  const offset = Number(BigInt(`0x${blake3Hex(Buffer.from(name)).slice(0, 12)}`) % BigInt(everyMs));
  const periods = Math.floor((now - offset) / everyMs) + 1;
  return periods * everyMs + offset;
}
