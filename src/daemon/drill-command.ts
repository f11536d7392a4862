/** `drill`: one drill from one destination, by hand. */
import { tmpdir } from 'node:os';
import { ByteBudget } from '../core/byte-budget.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { RestoreProgress } from '../restore/restore.ts';
import { chooseDestination } from './choose-destination.ts';
import { openDestination } from './destination.ts';
import { type DrillOptions, type DrillReport, runDrill } from './drill-run.ts';

export interface DrillCommandOptions extends Pick<DrillOptions, 'replicaId' | 'seed' | 'exec' | 'env' | 'parallelism'> {
  /** Of several the one that reaches furthest is taken, as a restore does. */
  readonly urls: readonly string[];
  /** Null: the system's directory for temporary files. */
  readonly scratch: string | null;
  readonly memoryBytes: number;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly progress: (progress: RestoreProgress) => void;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** @throws as `runDrill` and `chooseDestination` */
export async function runDrillFrom(options: DrillCommandOptions): Promise<DrillReport> {
  const { urls, scratch, memoryBytes, clock = systemClock } = options;
  await using opened = new AsyncDisposableStack();
  const clients = [];
  for (const url of urls) clients.push(opened.use((await openDestination(url, { ...options, clock })).client));
  const [only] = clients;
  const client =
    only !== undefined && clients.length === 1
      ? only
      : await chooseDestination(clients, { ...options, partial: false });
  const budget = new ByteBudget(memoryBytes);
  return await runDrill({ ...options, client, budget, clock, scratch: scratch ?? tmpdir() });
}
