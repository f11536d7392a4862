/** Which destinations and which directory a command line of `restore` means. */
import { dirname, join, resolve } from 'node:path';
import type { Config, DatabaseConfig } from '../config/config.ts';
import { UsageError } from '../core/errors.ts';
import { requireDatabase } from './places.ts';

export interface RestorePlace {
  readonly urls: readonly string[];
  /** Absolute. */
  readonly target: string;
  /** One database of a server's backup. */
  readonly replicaId: bigint | undefined;
}

export interface RestoreArguments {
  /** DB_DIR or URL. */
  readonly source: string;
  readonly o: string | undefined;
  readonly replicaId: bigint | undefined;
}

const REPLICAS = 'replicas';
const REPLICA_ID = /^(?:0|[1-9]\d{0,19})$/;

/** @throws UsageError */
export function parseReplicaIdFlag(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const id = REPLICA_ID.test(text) ? BigInt(text) : 2n ** 64n;
  if (id < 2n ** 64n) return id;
  throw new UsageError(`-replica-id: ${JSON.stringify(text)} is no replica id`, {
    hint: 'It is the name of a directory in replicas/: a whole number.',
  });
}

/** A URL says where from and nothing else. @throws UsageError without -o */
export function placeOfUrl({ source, o, replicaId }: RestoreArguments, hint: string): RestorePlace {
  if (o === undefined) throw new UsageError('a URL says where from, and -o DIR where to: -o is missing', { hint });
  return { urls: [source], target: resolve(o), replicaId };
}

/**
 * A directory of the configuration, or a replica directory in a server data directory of it.
 *
 * @throws ConfigurationError that names the databases which the configuration knows; UsageError
 */
export function placeOfDirectory(
  config: Config,
  { source, o, replicaId }: RestoreArguments,
  { file }: { readonly file: string | null },
): RestorePlace {
  const path = resolve(source);
  const inServer = replicaOfServer(config, path);
  if (inServer !== null) {
    if (replicaId !== undefined && replicaId !== inServer.replicaId) {
      throw new UsageError(`${path} is not the directory of replica ${replicaId}`);
    }
    return { urls: urlsOf(inServer.server), target: resolve(o ?? path), replicaId: inServer.replicaId };
  }
  const database = requireDatabase(config, source, file);
  const inside = replicaId === undefined ? database.path : join(database.path, REPLICAS, replicaId.toString());
  return { urls: urlsOf(database), target: resolve(o ?? inside), replicaId };
}

const urlsOf = ({ replicas }: DatabaseConfig): string[] => replicas.map(({ url }) => url);

/** `…/replicas/3` where the configuration has `…` and not that path itself. */
function replicaOfServer(config: Config, path: string): { server: DatabaseConfig; replicaId: bigint } | null {
  if (config.dbs.some((database) => database.path === path)) return null;
  const id = path.slice(dirname(path).length + 1);
  const server = config.dbs.find((database) => join(database.path, REPLICAS) === dirname(path));
  return server === undefined || !REPLICA_ID.test(id) ? null : { server, replicaId: BigInt(id) };
}
