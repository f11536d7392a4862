/**
 * A lease that our owner holds, by a process that may live: it is ours once the head has not changed for its whole ttl,
 * by our own monotonic clock. The holder's clock is never believed.
 */
import type { Clock } from '../core/clock.ts';
import { LeaseHeldError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { readHead, type StoredHead } from './head-lease.ts';

const LOOKS_PER_TTL = 6;

export interface LeaseWaitOptions {
  readonly client: ReplicaClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted by who wants no lease any more. */
  readonly draining?: AbortSignal;
}

export type LeaseWaitOutcome = 'expired' | 'changed-hands';

/**
 * @returns `changed-hands` when it was released or removed: then all must be read anew
 * @throws LeaseHeldError when its holder, or a third process, renewed it; when nobody wants it any more
 */
export async function waitForLease(
  { client, clock, log, draining }: LeaseWaitOptions,
  held: StoredHead,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<LeaseWaitOutcome> {
  const { ttlMs, process, owner } = held.document;
  log.info(
    `the lease is held by process ${process.pid} on ${process.host}, which cannot be proven dead; waiting ${ttlMs / 1000} s for it to renew or expire`,
    { owner, generation: held.document.generation },
  );
  const since = clock.monotonic();
  for (let left = ttlMs; left > 0; left = ttlMs - (clock.monotonic() - since)) {
    await sleepUnlessDraining(Math.min(left, ttlMs / LOOKS_PER_TTL));
    if (draining?.aborted) throw toldToEnd(client, held);
    const now = await readHead(client, { signal });
    if (now === null || now.document.released) return 'changed-hands';
    if (now.version !== held.version) throw leaseHeld(client, now);
  }
  return 'expired';

  async function sleepUnlessDraining(ms: number): Promise<void> {
    try {
      await clock.sleep(ms, { signal: anyOf(signal, draining) });
    } catch (error) {
      if (signal?.aborted || !draining?.aborted) throw error;
    }
  }
}

const anyOf = (...signals: readonly (AbortSignal | undefined)[]): AbortSignal =>
  AbortSignal.any(signals.filter((signal) => signal !== undefined));

const toldToEnd = ({ url }: ReplicaClient, { document }: StoredHead): LeaseHeldError =>
  new LeaseHeldError(
    `told to end while process ${document.process.pid} on ${document.process.host} still held the lease of ${url}`,
    {
      hint: 'Nothing was stored. The next start waits for the lease again.',
      facts: { url, owner: document.owner, generation: document.generation },
    },
  );

/** The error for a head that is not ours to take. */
export function leaseHeld(client: ReplicaClient, { document }: StoredHead): LeaseHeldError {
  const { owner, process, generation, renewedAt } = document;
  const seconds = new Date(Number(renewedAt / 1000n)).toISOString();
  return new LeaseHeldError(
    `the backup ${client.url} belongs to owner ${owner} (process ${process.pid} on ${process.host}, last renewed ${seconds})`,
    {
      hint: `Replicate to another prefix. If this machine is the rightful successor, stop the other writer and set "owner: ${owner}" here.`,
      facts: { url: client.url, owner, generation },
    },
  );
}
