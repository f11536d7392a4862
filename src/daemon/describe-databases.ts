/** What each configured database is and how far it is stored: local directory and store are asked, nothing is written. */
import { join } from 'node:path';
import type { Config, DatabaseConfig } from '../config/config.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, type Micros, type TxOffset } from '../core/types.ts';
import { readStoredState } from '../replicate/stored-state.ts';
import { findNewestSnapshot } from '../replicate/stored-snapshots.ts';
import { redactUrl } from '../replica/registry.ts';
import { classifyDirectory, type DirectoryKind } from '../spacetimedb/classify-directory.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { CLOG_DIR } from '../spacetimedb/file-names.ts';
import { SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { openSegment } from '../spacetimedb/segment-reader.ts';
import { listSegments, type SegmentEntry } from '../spacetimedb/segments.ts';
import { openDestination } from './destination.ts';

export interface LocalDescription {
  readonly kind: DirectoryKind['kind'];
  /** Of a server data directory. */
  readonly replicas: readonly string[];
  readonly segments: number;
  /** Bytes of the segments on disk. */
  readonly bytes: number;
  readonly first: TxOffset | null;
  readonly last: TxOffset | null;
}

export interface StoredDescription {
  /** Null: nothing was ever stored. */
  readonly generation: string | null;
  readonly owner: string | null;
  readonly host: string | null;
  readonly released: boolean | null;
  readonly position: { readonly tx: TxOffset; readonly time: Micros | null } | null;
  readonly newestSnapshot: TxOffset | null;
}

export interface DatabaseDescription {
  readonly path: string;
  /** Without secrets. */
  readonly destination: string;
  readonly local: LocalDescription | Error;
  readonly stored: StoredDescription | Error;
}

export interface DescribeOptions {
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

const SCAN_BYTES = 1024 * 1024;

/** The last transaction of a segment's valid commits; null when it holds none. */
async function lastOf(files: ReadableFiles, segment: SegmentEntry, signal: AbortSignal): Promise<TxOffset | null> {
  const reader = await openSegment(files, segment);
  if (reader === null || reader.version === null) {
    await reader?.close();
    return null;
  }
  await using _ = reader;
  let last: TxOffset | null = null;
  const onCommit = ({ lastTx }: { readonly lastTx: TxOffset }): void => {
    last = lastTx;
  };
  const start = byteOffset(SEGMENT_HEADER_BYTES);
  const scanner = new CommitScanner({ version: reader.version, expectedTx: segment.tx, at: start, onCommit });
  for (let at: number = start; scanner.problem === null; ) {
    signal.throwIfAborted();
    const bytes = await reader.read(byteOffset(at), SCAN_BYTES);
    if (bytes.byteLength === 0) break;
    scanner.push(bytes);
    at += bytes.byteLength;
  }
  return last;
}

/** Only the last segments are read: of the others the names tell enough. */
async function describeLocal(files: ReadableFiles, path: string, signal: AbortSignal): Promise<LocalDescription> {
  const found = await classifyDirectory(files, path);
  const replicas = found.kind === 'server' ? found.replicas : [];
  const segments = found.kind === 'replica' ? await listSegments(files, join(path, CLOG_DIR)) : [];
  const bytes = segments.reduce((sum, { size }) => sum + size, 0);
  let last: TxOffset | null = null;
  for (const segment of [...segments].reverse()) {
    last = await lastOf(files, segment, signal);
    if (last !== null) break;
  }
  const first = last === null ? null : (segments[0]?.tx ?? null);
  return { kind: found.kind, replicas, segments: segments.length, bytes, first, last };
}

async function describeStored(
  url: string,
  { requestTimeoutMs }: Config,
  { giveUpAfterMs, log, signal, clock = systemClock }: DescribeOptions,
): Promise<StoredDescription> {
  const { client } = await openDestination(url, { requestTimeoutMs, giveUpAfterMs, clock, log });
  await using _ = client;
  const { head, generation, position, snapshots } = await readStoredState(client, { signal });
  // After a head's position only later keys were listed, which leaves out no snapshot: they sort behind the log.
  const listed = generation && { generation: generation.generation, snapshots };
  // A generation that holds nothing yet stands where it branched off.
  const parent = generation?.parent ? { tx: generation.parent.position.tx, time: null } : null;
  const newest = listed && generation ? await findNewestSnapshot(client, generation, { listed, signal }) : null;
  return {
    generation: generation?.generation ?? null,
    owner: head?.document.owner ?? null,
    host: head?.document.process.host ?? null,
    released: head?.document.released ?? null,
    position: position ? { tx: position.tx, time: position.time } : parent,
    newestSnapshot: newest?.tx ?? null,
  };
}

/** What fails is part of the description, so that one store that cannot be reached hides nothing of the others. */
async function orError<T>(work: Promise<T>): Promise<T | Error> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

async function describeDatabase(
  { path, replicas: [replica = { url: '' }] }: DatabaseConfig,
  config: Config,
  options: DescribeOptions,
): Promise<DatabaseDescription> {
  const [local, stored] = await Promise.all([
    orError(describeLocal(diskFiles, path, options.signal)),
    orError(describeStored(replica.url, config, options)),
  ]);
  return { path, destination: redactUrl(replica.url), local, stored };
}

/** In the configuration's order. @throws the signal's reason */
export async function describeDatabases(
  config: Config,
  options: DescribeOptions,
): Promise<readonly DatabaseDescription[]> {
  const described = await Promise.all(config.dbs.map((database) => describeDatabase(database, config, options)));
  options.signal.throwIfAborted();
  return described;
}
