/** A destination as the engines see it: the store's client, its calls counted, and tried again where that can help. */
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { StoreCounters } from '../core/status.ts';
import { openReplicaClient } from '../replica/registry.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { GivenUp } from '../replica/wrap/given-up.ts';
import { meteredClient } from '../replica/wrap/metered.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';

export interface PatienceOptions {
  /** After how long without any answer a one-shot command gives up; null: never. */
  readonly giveUpAfterMs: number | null;
  /** Of the store, where several clients ask it. */
  readonly givenUp?: GivenUp | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface DestinationOptions extends PatienceOptions {
  readonly requestTimeoutMs: number;
}

export interface Destination {
  readonly client: ReplicaClient;
  readonly counters: () => StoreCounters;
}

/** Counts and retries of its own around a store's client. */
export function destinationOf(
  store: ReplicaClient,
  { giveUpAfterMs, givenUp, clock, log }: PatienceOptions,
): Destination {
  const metered = meteredClient(store, { clock });
  const client = retryingClient(metered.client, {
    clock,
    log,
    givenUp,
    ...(giveUpAfterMs === null ? {} : { giveUpAfterMs }),
  });
  return { client, counters: metered.counters };
}

/** For commands that ask one destination. @throws ConfigurationError */
export async function openDestination(url: string, options: DestinationOptions): Promise<Destination> {
  const { requestTimeoutMs } = options;
  return destinationOf(await openReplicaClient(url, { requestTimeoutMs }), options);
}
