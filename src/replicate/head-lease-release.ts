/**
 * Hands over for a writer that can no longer do it: its process is proven dead, or its head stood still for a whole ttl.
 *
 * Invariant: the generation of that writer is never continued, since something that it sent may still arrive there. The
 * head is swapped, by what it was when it was judged, to an empty generation that branches off at the last stored
 * position and is released: the next start of the same owner continues that one at once.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.ts';
import { assert, LeaseHeldError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { isProvenAlive, isProvenDead, type ProcessIdentity } from '../core/process-identity.ts';
import { encodeGenerationDocument, type GenerationDocument, type ParentPoint } from '../layout/generation-document.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import { type GenerationName, generationKey, makeGenerationName, parseGenerationName } from '../layout/keys.ts';
import { PreconditionFailedError, type ReplicaClient } from '../replica/replica-client.ts';
import { HeadLease } from './head-lease.ts';
import type { StoredHead } from './head-lease-read.ts';
import { findLeaseMode } from './lease-mode.ts';
import { leaseHeld, waitForLease } from './lease-wait.ts';

export interface ReleaseOptions {
  /** Of the prefix that holds head.json. */
  readonly client: ReplicaClient;
  /** Of the prefix that holds format.json. Default: `client`. */
  readonly root?: ReplicaClient;
  readonly kind: 'database' | 'server';
  /** What lies there now; asked again when somebody else was quicker. */
  readonly read: () => Promise<HeldState>;
  /** Of the process that hands over in the other's name. */
  readonly self: ProcessIdentity;
  /** Of this program. */
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** A head with what is stored in its line. */
export interface HeldState {
  readonly head: StoredHead | null;
  readonly generation: GenerationDocument | null;
  /** Where a new generation branches off; null where nothing is stored. */
  readonly parent: ParentPoint | null;
  /** The same as a stored position; null for lines without a log. */
  readonly position: HeadPosition | null;
}

export type ReleaseOutcome =
  | { readonly kind: 'unheld' }
  | { readonly kind: 'released-before'; readonly head: StoredHead }
  /** Nobody may continue in such a store: there is nothing to hand over. */
  | { readonly kind: 'advisory'; readonly head: StoredHead; readonly because: 'dead' | 'expired' }
  | {
      readonly kind: 'released';
      /** As it was. */
      readonly head: StoredHead;
      readonly because: 'dead' | 'expired';
      readonly generation: GenerationName;
      readonly position: HeadPosition | null;
    };

/** Each lost race brings a new head to be judged; so many in a row are somebody who does not stop. */
const RACES_MAX = 5;

/** @throws LeaseHeldError when its process lives, or renewed it while it was watched; store errors */
export async function releaseHead(
  options: ReleaseOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<ReleaseOutcome> {
  for (let races = 0; ; races += 1) {
    const state = await options.read();
    const { head } = state;
    if (head === null) return { kind: 'unheld' };
    if (head.document.released) return { kind: 'released-before', head };
    const because = await judge(options, head, signal);
    if (because === null) continue;
    try {
      return await branch(options, { ...state, head }, { because, signal });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError) || races >= RACES_MAX) throw error;
    }
  }
}

/** Null when it changed hands meanwhile. */
async function judge(
  { client, clock, log, self }: ReleaseOptions,
  head: StoredHead,
  signal: AbortSignal | undefined,
): Promise<'dead' | 'expired' | null> {
  const holder = head.document.process;
  if (await isProvenDead(holder, self)) return 'dead';
  // One with nothing to store does not renew: here it is seen to live, elsewhere only its silence is.
  if (await isProvenAlive(holder, self)) {
    throw new LeaseHeldError(`process ${holder.pid} on this machine holds the lease of ${client.url}, and it lives`, {
      hint: `Stop it: it releases the lease itself then.`,
      facts: { url: client.url, owner: head.document.owner, pid: holder.pid },
    });
  }
  const due = await waitForLease({ client, clock, log }, head, { signal });
  if (due === null) return null;
  if (due !== head.version) throw leaseHeld(client, head);
  return 'expired';
}

async function branch(
  options: ReleaseOptions,
  { head, generation, parent, position }: HeldState & { readonly head: StoredHead },
  { because, signal }: { because: 'dead' | 'expired'; signal: AbortSignal | undefined },
): Promise<ReleaseOutcome> {
  const { client, root = client, kind, clock, log, self, version } = options;
  assert(generation !== null, 'a head names a generation');
  const mode = await findLeaseMode(root, { kind, head: head.version, signal });
  if (mode === 'advisory') return { kind: 'advisory', head, because };
  const number = (parseGenerationName(generation.generation)?.number ?? 0) + 1;
  const now = clock.now();
  const next: GenerationDocument = {
    generation: makeGenerationName(number, randomBytes(4).toString('hex')),
    databaseIdentity: generation.databaseIdentity,
    replicaId: generation.replicaId,
    createdAt: now,
    reason: 'takeover',
    parent,
    writer: { owner: head.document.owner, host: self.host, version },
  };
  await client.put(generationKey(next.generation), encodeGenerationDocument(next), { ifAbsent: true, signal });
  const lease = await HeadLease.take(
    { client, clock, log },
    {
      ...head.document,
      generation: next.generation,
      session: `release ${randomBytes(8).toString('hex')}`,
      process: self,
      acquiredAt: now,
      renewedAt: now,
      position,
      released: true,
    },
    { replaces: head.version, mode, signal },
  );
  return { kind: 'released', head, because, generation: lease.document.generation, position };
}
