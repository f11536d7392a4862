/** A client that waits before it asks while something more urgent is behind: for what has time. */
import type { Clock } from '../core/clock.ts';
import type { GetOptions, ReplicaClient, StoredObject } from '../replica/replica-client.ts';
import { withGet } from '../replica/wrap/with-get.ts';

export interface PoliteOptions {
  /** Whether what is more urgent is behind now. */
  readonly isBusy: () => boolean;
  readonly clock: Clock;
}

const LOOK_MS = 200;
/** Before one request. What is behind for longer is not so because of us, and a drill may not take for ever. */
const WAIT_MS_MAX = 5_000;

export function politeClient(client: ReplicaClient, { isBusy, clock }: PoliteOptions): ReplicaClient {
  const get = async (key: string, options: GetOptions = {}): Promise<StoredObject> => {
    for (let waited = 0; waited < WAIT_MS_MAX && isBusy(); waited += LOOK_MS) {
      await clock.sleep(LOOK_MS, { signal: options.signal });
    }
    return await client.get(key, options);
  };
  return withGet(client, get);
}
