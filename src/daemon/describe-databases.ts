/**
 * What each configured path holds, at which of its destinations how much of it is stored: local directories and stores
 * are asked, nothing is written.
 */
import { basename, join } from 'node:path';
import type { Config, DatabaseConfig } from '../config/config.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { ConfigurationError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { diskFiles } from '../core/readable-files.ts';
import { redactUrl } from '../replica/registry.ts';
import { parseReplicaId, REPLICAS_DIR } from '../spacetimedb/file-names.ts';
import { describeLocal, type LocalDescription } from './describe-local.ts';
import {
  askDestination,
  type DestinationContent,
  type ImagesDescription,
  NOTHING_STORED,
  type StoredDescription,
} from './describe-stored.ts';

export type { LocalDescription } from './describe-local.ts';
export type { ImagesDescription, StoredDescription } from './describe-stored.ts';

/** One database at one destination. */
export interface DatabaseDescription {
  readonly path: string;
  /** Without secrets. */
  readonly destination: string;
  readonly local: LocalDescription | Error;
  readonly stored: StoredDescription | Error;
}

/** A server's own files at one destination. */
export interface ServerDescription {
  /** The server data directory. */
  readonly path: string;
  readonly destination: string;
  readonly local: LocalDescription | Error;
  readonly images: ImagesDescription | Error;
}

export interface Description {
  readonly databases: readonly DatabaseDescription[];
  readonly servers: readonly ServerDescription[];
}

export interface DescribeOptions {
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** Directories that are read at once. */
const READS_AT_ONCE = 4;

/** What fails is part of the description, so that one store that cannot be reached hides nothing of the others. */
async function orError<T>(work: Promise<T>): Promise<T | Error> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

interface Asked {
  /** Without secrets. */
  readonly destination: string;
  readonly content: DestinationContent | Error;
}

async function describePath(
  { path, replicas }: DatabaseConfig,
  config: Config,
  options: DescribeOptions,
): Promise<Description> {
  const { signal, clock = systemClock } = options;
  const { requestTimeoutMs } = config;
  const [local, asked] = await Promise.all([
    orError(describeLocal(diskFiles, path, { signal })),
    Promise.all(
      replicas.map(async ({ url }): Promise<Asked> => {
        const content = await orError(askDestination(url, { ...options, clock, requestTimeoutMs }));
        return { destination: redactUrl(url), content };
      }),
    ),
  ]);
  if (!isServer(local, asked)) {
    const databases = asked.map(({ destination, content }) => ({
      path,
      destination,
      local,
      stored: storedOf(content),
    }));
    return { databases, servers: [] };
  }
  const servers = asked.map(({ destination, content }) => ({ path, destination, local, images: imagesOf(content) }));
  const databases: DatabaseDescription[] = [];
  const describe = async (id: bigint) => {
    const directory = join(path, REPLICAS_DIR, `${id}`);
    return { id, directory, inside: await orError(describeLocal(diskFiles, directory, { signal })) };
  };
  for await (const { id, directory, inside } of mapAhead(replicasOf(local, asked), describe, {
    ahead: READS_AT_ONCE,
  })) {
    for (const { destination, content } of asked) {
      databases.push({ path: directory, destination, local: inside, stored: replicaOf(content, id) });
    }
  }
  return { databases, servers };
}

/** A directory that is not there, or is empty, is what its backup is of. */
function isServer(local: LocalDescription | Error, asked: readonly Asked[]): boolean {
  if (local instanceof Error || local.kind === 'absent' || local.kind === 'empty' || local.kind === 'other') {
    return asked.some(({ content }) => !(content instanceof Error) && content.kind === 'server');
  }
  return local.kind === 'server';
}

/** Those that are there, and those that were. */
function replicasOf(local: LocalDescription | Error, asked: readonly Asked[]): readonly bigint[] {
  const here = local instanceof Error ? [] : local.replicas.map((path) => parseReplicaId(basename(path)) ?? 0n);
  const stored = asked.flatMap(({ content }) =>
    content instanceof Error || content.kind !== 'server' ? [] : [...content.replicas.keys()],
  );
  return [...new Set([...here, ...stored])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

const otherKind = (kind: string): Error =>
  new ConfigurationError(`this destination holds the backup of ${kind}`, { hint: 'Give it a prefix of its own.' });

function storedOf(content: DestinationContent | Error): StoredDescription | Error {
  if (content instanceof Error) return content;
  if (content.kind === 'server') return otherKind('a whole server data directory');
  return content.kind === 'nothing' ? NOTHING_STORED : content.stored;
}

function imagesOf(content: DestinationContent | Error): ImagesDescription | Error {
  if (content instanceof Error) return content;
  if (content.kind === 'database') return otherKind('a single database');
  return content.kind === 'nothing' ? { ...NOTHING_STORED, newest: null } : content.images;
}

function replicaOf(content: DestinationContent | Error, id: bigint): StoredDescription | Error {
  if (content instanceof Error) return content;
  if (content.kind === 'database') return otherKind('a single database');
  return (content.kind === 'nothing' ? null : content.replicas.get(id)) ?? NOTHING_STORED;
}

/** In the configuration's order. @throws the signal's reason */
export async function describeDatabases(config: Config, options: DescribeOptions): Promise<Description> {
  const described = await Promise.all(config.dbs.map((database) => describePath(database, config, options)));
  options.signal.throwIfAborted();
  return {
    databases: described.flatMap(({ databases }) => databases),
    servers: described.flatMap(({ servers }) => servers),
  };
}
