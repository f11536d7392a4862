/** What the parts of the composition of `replicate` share: what they are given, and what they tell. */
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { ReadableFiles } from '../core/readable-files.ts';
import type { Service } from '../core/service.ts';
import type { DatabaseStatus, ServerImageStatus, StoreCounters } from '../core/status.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { GivenUp } from '../replica/wrap/given-up.ts';
import type { Writer } from '../replicate/writer.ts';
import type { MemoryShares } from './memory-shares.ts';
import type { Supervisor } from './supervisor.ts';

/** Of the whole process. */
export interface ReplicationContext {
  readonly config: Pick<Config, 'leaseTtlMs' | 'levels' | 'compressionLevel' | 'takeover'>;
  readonly once: boolean;
  readonly standby: boolean;
  /** After how long without any answer a store is given up; null: never. */
  readonly giveUpAfterMs: number | null;
  readonly writer: Writer;
  readonly files: ReadableFiles;
  readonly clock: Clock;
  readonly memory: MemoryShares;
  readonly supervisor: Supervisor;
}

/** A directory and where it goes. */
export interface ReplicationPlace {
  readonly path: string;
  /** The root of the destination for this path, without retries or counters. */
  readonly root: ReplicaClient;
  /** What fails with it (`storeOf`). */
  readonly store: string;
  /** Of that store. Default: each client's own. */
  readonly givenUp?: GivenUp;
  /** Its lines already say which path and destination they are about, where there are several. */
  readonly log: Log;
}

/** A service that replicates one or more databases, which may come and go. */
export interface Replication extends Service {
  databases(): readonly DatabaseStatus[];
  images(): readonly ServerImageStatus[];
  stores(): readonly StoreCounters[];
}
