/** The check of a whole destination: one database, or a server's own files and each of its databases. */
import { CorruptionError, NoBackupError, UnsupportedFormatError } from '../core/errors.ts';
import { FORMAT_KEY } from '../layout/keys.ts';
import { parseRootKey, REPLICAS_PREFIX, replicaPrefix, SERVER_PREFIX } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { readFormat } from '../restore/read-store.ts';
import { type CheckedImages, checkImages } from './check-images.ts';
import { type Finding, REMEDY } from './finding.ts';
import { whyNotGiven } from './not-given.ts';
import { badObject } from './read-view.ts';
import { sorted, type VerifiedDatabase, verifyDatabase, type VerifyDatabaseOptions } from './verify-database.ts';

export interface VerifyStoreOptions extends VerifyDatabaseOptions {
  /** The part of the destination below a prefix, as a destination. */
  readonly clientAt: (prefix: string) => ReplicaClient;
}

export interface VerifiedReplica extends VerifiedDatabase {
  /** Null for a single database. */
  readonly replicaId: bigint | null;
}

export interface VerifiedStore {
  readonly kind: 'database' | 'server';
  /** Damage first; keys below the destination's root. */
  readonly findings: readonly Finding[];
  readonly databases: readonly VerifiedReplica[];
  readonly images: Omit<CheckedImages, 'findings' | 'replicas'> | null;
}

/** @throws NoBackupError where nothing was ever stored; what the client throws */
export async function verifyStore(options: VerifyStoreOptions): Promise<VerifiedStore> {
  const { client, signal } = options.fetch;
  const format = await formatOf(options);
  const root = await lookAtRoot(client, signal);
  const isServer = format.kind === 'server' || (format.kind === null && (root.replicas.length > 0 || root.hasServer));
  if (isServer) return await verifyServer(options, { ...root, findings: format.findings });
  const verified = await verifyDatabase(options);
  if (verified.isEmpty && verified.findings.every(({ severity }) => severity === 'note')) throw noBackup(client.url);
  return { kind: 'database', findings: verified.findings, databases: [{ ...verified, replicaId: null }], images: null };
}

const noBackup = (url: string): NoBackupError =>
  new NoBackupError(`there is no backup in ${url}: no transaction and no snapshot was ever stored there`, {
    facts: { url },
    hint: 'Check the URL and its prefix. A backup begins when `stdb-replicate replicate` first reaches the store.',
  });

async function formatOf({ fetch }: VerifyStoreOptions): Promise<{
  readonly kind: 'database' | 'server' | null;
  readonly findings: readonly Finding[];
}> {
  try {
    const format = await readFormat(fetch);
    const lost = format === null ? await whyNotGiven(FORMAT_KEY, fetch) : null;
    if (lost !== null) throw lost;
    return { kind: format?.kind ?? null, findings: [] };
  } catch (error) {
    if (!(error instanceof CorruptionError) && !(error instanceof UnsupportedFormatError)) throw error;
    const effect = 'every restore stops here until it is mended';
    return { kind: null, findings: [badObject(FORMAT_KEY, error, effect)] };
  }
}

interface Root {
  readonly replicas: readonly bigint[];
  readonly hasServer: boolean;
  readonly foreign: readonly string[];
}

/** One page of a listing for each database: what lies in one is skipped. Of a single database nothing is found. */
async function lookAtRoot(client: ReplicaClient, signal: AbortSignal): Promise<Root> {
  const replicas: bigint[] = [];
  const foreign: string[] = [];
  for (let after: string | null = REPLICAS_PREFIX; after !== null; ) {
    const startAfter: string = after;
    after = null;
    for await (const { key } of client.list(REPLICAS_PREFIX, { startAfter, signal })) {
      const parsed = parseRootKey(key);
      if (parsed?.kind !== 'replica') {
        foreign.push(key);
        continue;
      }
      replicas.push(parsed.replicaId);
      after = behind(replicaPrefix(parsed.replicaId));
      break;
    }
  }
  let hasServer = false;
  for await (const _ of client.list(SERVER_PREFIX, { signal })) {
    hasServer = true;
    break;
  }
  return { replicas, hasServer, foreign };
}

/** Behind every key with that prefix, before any other: 0 is the character that follows the slash. */
const behind = (prefix: string): string => `${prefix.slice(0, -1)}0`;

/** What lies at a server's root and in none of its parts. */
async function foreignAtRoot(client: ReplicaClient, signal: AbortSignal): Promise<string[]> {
  const foreign: string[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const startAfter: string = after;
    after = null;
    for await (const { key } of client.list('', { ...(startAfter === '' ? {} : { startAfter }), signal })) {
      const part = [SERVER_PREFIX, REPLICAS_PREFIX].find((prefix) => key.startsWith(prefix));
      if (part !== undefined) {
        after = behind(part);
        break;
      }
      if (key !== FORMAT_KEY) foreign.push(key);
    }
  }
  return foreign;
}

async function verifyServer(
  options: VerifyStoreOptions,
  root: Root & { readonly findings: readonly Finding[] },
): Promise<VerifiedStore> {
  const { fetch } = options;
  const findings = [...root.findings];
  if (root.replicas.length === 0 && !root.hasServer) throw noBackup(fetch.client.url);
  const hasFormat = await isThere(FORMAT_KEY, fetch);
  if (!hasFormat) findings.push(missingFormat());
  const foreign = [...root.foreign, ...(await foreignAtRoot(fetch.client, fetch.signal))];
  if (foreign.length > 0) findings.push(foreignFinding(foreign));
  const at = (prefix: string): VerifyDatabaseOptions['fetch'] => ({
    ...fetch,
    client: options.clientAt(prefix),
  });
  const images = await checkImages({ ...options, fetch: at(SERVER_PREFIX) });
  for (const finding of images.findings) findings.push(below(SERVER_PREFIX, finding));
  const databases: VerifiedReplica[] = [];
  for (const replicaId of root.replicas) {
    const prefix = replicaPrefix(replicaId);
    const verified = await verifyDatabase({ ...options, fetch: at(prefix) });
    for (const finding of verified.findings) findings.push(below(prefix, finding));
    databases.push({ ...verified, replicaId });
  }
  for (const replicaId of images.replicas) {
    if (databases.some((one) => one.replicaId === replicaId && !one.isEmpty)) continue;
    findings.push(missingDatabase(replicaId));
  }
  const { findings: _, replicas: __, ...facts } = images;
  return { kind: 'server', findings: sorted(findings), databases, images: facts };
}

async function isThere(key: string, { client, signal }: VerifyDatabaseOptions['fetch']): Promise<boolean> {
  for await (const listed of client.list(key, { signal })) if (listed.key === key) return true;
  return false;
}

const below = (prefix: string, finding: Finding): Finding => ({
  ...finding,
  key: finding.key === null ? null : `${prefix}${finding.key}`,
  message: `${prefix.slice(0, -1)}: ${finding.message}`,
});

const missingFormat = (): Finding => ({
  severity: 'damage',
  kind: 'missing',
  key: FORMAT_KEY,
  message: `${FORMAT_KEY} is missing`,
  effect: 'none for a restore: what lies there tells that it is the backup of a server',
  remedy: REMEDY.writer,
});

const foreignFinding = (keys: readonly string[]): Finding => ({
  severity: 'note',
  kind: 'foreign',
  key: keys[0] ?? null,
  message: `${keys.length === 1 ? 'one object is' : `${keys.length} objects are`} not of this backup: ${keys
    .slice(0, 10)
    .map((key) => JSON.stringify(key))
    .join(', ')}`,
  effect: 'none: they are ignored',
  remedy: 'They were put there by somebody else, or are names that were changed.',
});

const missingDatabase = (replicaId: bigint): Finding => ({
  severity: 'damage',
  kind: 'missing',
  key: replicaPrefix(replicaId),
  message: `the newest image names the database of replica ${replicaId}, of which nothing is stored`,
  effect: 'a restore of the server takes an older image, or needs -partial',
  remedy: 'Look whether somebody removed it. Where replicate has just begun, check again when it has stored it.',
});
