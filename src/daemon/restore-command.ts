/** The composition root of `restore`: a destination, a budget, and the engine. */
import { ByteBudget } from '../core/byte-budget.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { type RestoreProgress, type RestoreReport, restore } from '../restore/restore.ts';
import { openDestination } from './destination.ts';

export interface RestoreCommandOptions {
  readonly url: string;
  /** Absolute. */
  readonly target: string;
  readonly dryRun: boolean;
  /** Leave the target as it is when it holds a database. */
  readonly ifDatabaseAbsent: boolean;
  /** Another line than the head's: a generation's name or number. */
  readonly generation?: string | undefined;
  /** Requests at once. */
  readonly parallelism: number;
  readonly memoryBytes: number;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly progress: (progress: RestoreProgress) => void;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

export interface RestoreCommandReport extends RestoreReport {
  /** The destination without secrets. */
  readonly source: string;
}

export async function runRestore(options: RestoreCommandOptions): Promise<RestoreCommandReport> {
  const { url, memoryBytes, requestTimeoutMs, giveUpAfterMs, log, clock = systemClock, ...rest } = options;
  const { client } = await openDestination(url, { requestTimeoutMs, giveUpAfterMs, clock, log });
  await using _ = client;
  const report = await restore({ ...rest, client, budget: new ByteBudget(memoryBytes), clock, log });
  return { ...report, source: client.url };
}
