/** Who holds which backup, and handing over for a holder that is gone: for every head of a destination. */
import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';
import { NoBackupError, UsageError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { isProvenAlive, isProvenDead, type ProcessIdentity, readProcessIdentity } from '../core/process-identity.ts';
import { samePosition } from '../core/types.ts';
import type { ParentPoint } from '../layout/generation-document.ts';
import { GENERATIONS_PREFIX } from '../layout/keys.ts';
import { imagePosition, replicaPrefix, SERVER_PREFIX } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { redactUrl } from '../replica/registry.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { type HeldState, releaseHead, type ReleaseOutcome } from '../replicate/head-lease-release.ts';
import { readHead, type StoredHead } from '../replicate/head-lease-read.ts';
import { readStoredImages } from '../replicate/server/stored-images.ts';
import { readStoredState, type StoredState } from '../replicate/stored-state.ts';
import { openDestination } from './destination.ts';
import { listStoredReplicas, readKind } from './stored-parts.ts';

export interface LeaseCommandOptions {
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/** The lease of one head.json. */
export interface LeaseDescription {
  /** Below the destination: empty for a single database, else `replicas/1/`, `server/`. */
  readonly prefix: string;
  /** `server`: of the images of a server's own files, which have no position. */
  readonly kind: 'database' | 'server';
  /** Null: nobody has ever held it. */
  readonly head: StoredHead['document'] | null;
  /** What this machine can see of the holder's process. */
  readonly process: 'alive' | 'dead' | 'unknown';
  /** Null where nothing tells, as long as it is held: only what is exclusive is ever released. */
  readonly mode: 'exclusive' | 'advisory' | null;
}

export interface Destined<T> {
  /** Without secrets. */
  readonly destination: string;
  readonly result: T | Error;
}

export interface HeadRelease {
  readonly prefix: string;
  readonly outcome: ReleaseOutcome | Error;
}

/** One entry for each URL, in their order. @throws the signal's reason */
export const describeLeases = (
  urls: readonly string[],
  options: LeaseCommandOptions,
): Promise<readonly Destined<readonly LeaseDescription[]>[]> =>
  atEach(urls, options, async ({ client, signal }) => {
    const self = await readProcessIdentity();
    const leases: LeaseDescription[] = [];
    for (const { prefix, client: part } of await findHeads(client, { signal })) {
      leases.push(await describeLease(prefix, { client: part, self, signal }));
    }
    return leases;
  });

async function describeLease(
  prefix: string,
  { client, self, signal }: { client: ReplicaClient; self: ProcessIdentity; signal: AbortSignal },
): Promise<LeaseDescription> {
  const head = (await readHead(client, { signal }))?.document ?? null;
  const mode = client.conditional !== 'full' ? 'advisory' : head?.released === true ? 'exclusive' : null;
  const kind = prefix === SERVER_PREFIX ? 'server' : 'database';
  if (head === null) return { prefix, kind, head, process: 'unknown', mode };
  if (await isProvenDead(head.process, self)) return { prefix, kind, head, process: 'dead', mode };
  return { prefix, kind, head, process: (await isProvenAlive(head.process, self)) ? 'alive' : 'unknown', mode };
}

export interface ReleaseCommandOptions extends LeaseCommandOptions {
  /** Of this program. */
  readonly version: string;
}

/** Releases each head of each destination that can be; what stands in the way of one holds back no other. */
export const releaseLeases = (
  urls: readonly string[],
  options: ReleaseCommandOptions,
): Promise<readonly Destined<readonly HeadRelease[]>[]> =>
  atEach(urls, options, async ({ client, clock, signal }) => {
    const self = await readProcessIdentity();
    const { version, log } = options;
    const heads = await findHeads(client, { signal });
    // Side by side: each may have to be watched for a whole ttl.
    return Promise.all(
      heads.map(async ({ prefix, client: part }): Promise<HeadRelease> => {
        const isServer = prefix === SERVER_PREFIX;
        const common = { client: part, self, version, clock, log };
        const read = (): Promise<HeldState> => (isServer ? readHeldImages(part, signal) : readHeldLog(part, signal));
        const outcome = await orError(
          releaseHead(
            { ...common, ...(isServer ? { root: client, kind: 'server' } : { kind: 'database' }), read },
            { signal },
          ),
        );
        return { prefix, outcome };
      }),
    );
  });

async function readHeldLog(client: ReplicaClient, signal: AbortSignal): Promise<HeldState> {
  const state = await readStoredState(client, { signal });
  return { head: state.head, generation: state.generation, parent: branchOf(state), position: state.position };
}

/** A generation that stored nothing of its own is left out of the line. */
function branchOf({ generation, position, snapshots }: StoredState): ParentPoint | null {
  if (generation === null || position === null) return null;
  const inherited = generation.parent;
  const storedNothing = snapshots.length === 0 && inherited !== null && samePosition(inherited.position, position);
  return storedNothing ? inherited : { generation: generation.generation, position };
}

async function readHeldImages(client: ReplicaClient, signal: AbortSignal): Promise<HeldState> {
  const { head, generation, newest } = await readStoredImages(client, { signal });
  const parent =
    generation && newest
      ? { generation: generation.generation, position: imagePosition(newest) }
      : (generation?.parent ?? null);
  return { head, generation, parent, position: null };
}

interface HeadPlace {
  readonly prefix: string;
  readonly client: ReplicaClient;
}

/** @throws NoBackupError where there is nothing of ours */
async function findHeads(client: ReplicaClient, { signal }: { signal: AbortSignal }): Promise<readonly HeadPlace[]> {
  const kind = await readKind(client, { signal });
  if (kind !== 'server') {
    const isThere = kind !== null || (await readHead(client, { signal })) !== null;
    if (isThere || (await holdsAny(client, GENERATIONS_PREFIX, signal))) return [{ prefix: '', client }];
    throw new NoBackupError(`there is no backup in ${client.url}`, {
      hint: 'Check the bucket and the prefix of the URL.',
      facts: { url: client.url },
    });
  }
  const prefixes = [SERVER_PREFIX, ...(await listStoredReplicas(client, { signal })).map(replicaPrefix)];
  return prefixes.map((prefix) => ({ prefix, client: prefixedClient(client, prefix) }));
}

async function holdsAny(client: ReplicaClient, prefix: string, signal: AbortSignal): Promise<boolean> {
  for await (const _ of client.list(prefix, { signal })) return true;
  return false;
}

interface OpenDestination {
  readonly client: ReplicaClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

async function atEach<T>(
  urls: readonly string[],
  { requestTimeoutMs, giveUpAfterMs, log, signal, clock = systemClock }: LeaseCommandOptions,
  work: (destination: OpenDestination) => Promise<T>,
): Promise<readonly Destined<T>[]> {
  const all = urls.map(async (url): Promise<Destined<T>> => {
    const result = await orError(
      (async () => {
        const { client } = await openDestination(url, { requestTimeoutMs, giveUpAfterMs, clock, log });
        await using _ = client;
        return await work({ client, clock, signal });
      })(),
    );
    return { destination: redactUrl(url), result };
  });
  const results = await Promise.all(all);
  signal.throwIfAborted();
  return results;
}

/** What fails at one place is part of the answer. A wrong command line is not. */
async function orError<T>(work: Promise<T>): Promise<T | Error> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && !(error instanceof UsageError)) return error;
    throw error;
  }
}
