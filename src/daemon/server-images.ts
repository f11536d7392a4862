/** The writer of a server's own files, as the composition gives it what it needs. */
import { basename } from 'node:path';
import type { ImageReplica } from '../layout/image-manifest.ts';
import { SERVER_PREFIX } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { ServerImageReplicator } from '../replicate/server/server-image-replicator.ts';
import type { MemberMemory } from './memory-shares.ts';
import type { ReplicationContext } from './replication.ts';
import type { Log } from '../core/log.ts';

export interface ServerImagesFacts {
  /** The server data directory. */
  readonly path: string;
  /** Of the destination's root, with retries and counters. */
  readonly client: ReplicaClient;
  readonly memory: MemberMemory;
  /** Absolute; their last parts are unique. */
  readonly extraFiles: readonly string[];
  /** Asked at each copy. */
  readonly replicas: () => readonly ImageReplica[];
  readonly log: Log;
}

/** @throws ConfigurationError where an extra file has a name that cannot be stored */
export function newServerImages(context: ReplicationContext, facts: ServerImagesFacts): ServerImageReplicator {
  const { config, once, standby, writer, files, clock } = context;
  const { path, client, memory, extraFiles, replicas, log } = facts;
  return new ServerImageReplicator({
    dataDirectory: path,
    extraFiles: extraFiles.map((file) => ({ name: basename(file), path: file })),
    files,
    client,
    serverClient: prefixedClient(client, SERVER_PREFIX),
    writer,
    leaseTtlMs: config.leaseTtlMs,
    takeover: config.takeover,
    standby,
    replicas,
    clock,
    log,
    once,
    compressionLevel: config.compressionLevel,
    budget: memory.budget,
  });
}
