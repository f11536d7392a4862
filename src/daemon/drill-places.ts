/** What the daemon's drills are made of: the configured places, and a part of the memory. */
import type { Config, DrillConfig } from '../config/config.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { DatabaseStatus } from '../core/status.ts';
import { redactUrl } from '../replica/registry.ts';
import { BUDGET_BYTES_MIN } from '../restore/check-budget.ts';
import { destinationOf } from './destination.ts';
import { type DrillPlace, DrillSchedule } from './drill-schedule.ts';
import { politeClient } from './polite-client.ts';
import type { SharedStores } from './shared-stores.ts';

/** Of the memory, where that is more than the least that a restore can do with. */
const MEMORY_PART = 1 / 4;
const MEMORY_MAX = 64 * 1024 * 1024;
/** After how long without any answer a drill has failed. */
const GIVE_UP_AFTER_MS = 60_000;
/** Commits that wait for so long are more urgent than a drill; usual is less than an interval and an upload. */
const BUSY_LAG_SECONDS = 2;

/** What is taken off the memory of replication. */
export const drillMemoryBytes = (memoryBytes: number): number =>
  Math.max(BUDGET_BYTES_MIN, Math.min(MEMORY_MAX, Math.floor(memoryBytes * MEMORY_PART)));

export interface DrillPlacesOptions {
  readonly drill: DrillConfig;
  readonly config: Pick<Config, 'dbs' | 'memoryBytes'>;
  readonly stores: SharedStores;
  readonly databases: () => readonly DatabaseStatus[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
}

/** @throws ConfigurationError for a destination that cannot be opened */
export async function openDrills(options: DrillPlacesOptions): Promise<DrillSchedule> {
  const { drill, config, stores, databases, env, clock, log } = options;
  // One that waits for something local, or for its store, sends nothing that a drill could delay.
  const isBusy = (): boolean =>
    databases().some(({ state, lagSeconds }) => state === 'streaming' && lagSeconds > BUSY_LAG_SECONDS);
  const places: DrillPlace[] = [];
  for (const { path, replicas } of config.dbs) {
    for (const { url } of replicas) {
      const own = log.child({ database: path, destination: redactUrl(url) });
      const patience = { giveUpAfterMs: GIVE_UP_AFTER_MS, clock, log: own };
      const { client } = destinationOf(await stores.open(url), patience);
      const isOfPlace = ({ database }: DatabaseStatus): boolean => database === path || database.startsWith(`${path}/`);
      const isStored = (): boolean => databases().some((status) => isOfPlace(status) && status.stored !== null);
      places.push({ path, client: politeClient(client, { isBusy, clock }), isStored, log: own });
    }
  }
  const exec = drill.exec === null ? null : { command: drill.exec, timeoutMs: drill.execTimeoutMs };
  const budget = new ByteBudget(drillMemoryBytes(config.memoryBytes));
  return new DrillSchedule({ places, everyMs: drill.everyMs, exec, scratch: drill.scratch, env, budget, clock });
}
