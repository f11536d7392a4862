/**
 * A lease that our owner holds, by a process that may live: it is ours once the head has not changed for its whole ttl,
 * by our own monotonic clock. The holder's clock is never believed.
 */
import type { Clock } from '../core/clock.ts';
import { LeaseHeldError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { isProvenAlive, isProvenDead, type ProcessIdentity } from '../core/process-identity.ts';
import type { ObjectVersion, ReplicaClient } from '../replica/replica-client.ts';
import { readHead, type StoredHead } from './head-lease-read.ts';

const LOOKS_PER_TTL = 6;
/** One that waits for months looks less often; it still sees whether a head stood still for a whole ttl. */
const STANDBY_LOOKS_PER_TTL = 4;

export interface LeaseWaitOptions {
  readonly client: ReplicaClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted by who wants no lease any more. */
  readonly draining?: AbortSignal;
  /** Wait for as long as the holder renews, instead of giving up when it does. Default false. */
  readonly standby?: boolean;
  /** Waits for no process that is seen to run here: what ends soon must not replace what stays. Default false. */
  readonly once?: boolean;
  /** Who waits. With it a holder that dies on this machine is not waited for any longer. */
  readonly writer?: { readonly process: ProcessIdentity };
  /** Default: what this machine tells to `writer`. */
  readonly isProvenDead?: (process: ProcessIdentity) => Promise<boolean>;
}

/**
 * @returns the version of the head that did not change for its whole ttl; null when it was released, removed or taken
 *   by somebody else, or when its holder is proven dead: then all must be read anew
 * @throws LeaseHeldError when its holder, or a third process, renewed it, unless on standby; when nobody wants it any
 *   more; for a single pass at once, when its holder is seen to run on this machine
 */
export async function waitForLease(
  options: LeaseWaitOptions,
  held: StoredHead,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<ObjectVersion | null> {
  const { client, clock, log, draining, standby = false, once = false } = options;
  const alive = await isSeenAlive(held.document.process, options);
  if (once && alive) throw leaseHeld(client, held, { isOurOwner: true });
  sayWhy(log, held, { standby, alive });
  let last = held;
  let since = clock.monotonic();
  const ttlMs = (): number => last.document.ttlMs;
  const looks = standby ? STANDBY_LOOKS_PER_TTL : LOOKS_PER_TTL;
  for (let left = ttlMs(); left > 0; left = ttlMs() - (clock.monotonic() - since)) {
    await sleepUnlessDraining(Math.min(left, ttlMs() / looks));
    if (draining?.aborted) throw toldToEnd(client, last);
    const now = await readHead(client, { signal });
    if (now === null || now.document.released || now.document.owner !== held.document.owner) return null;
    if (await isDead(now.document.process, options)) return null;
    if (now.version === last.version) continue;
    if (!standby) throw leaseHeld(client, now, { isOurOwner: true });
    if (now.document.session !== last.document.session) {
      log.info('the lease that is waited for has changed hands', {
        process: now.document.process.pid,
        host: now.document.process.host,
        generation: now.document.generation,
      });
    }
    last = now;
    // After the answer: it may have changed while we asked.
    since = clock.monotonic();
  }
  return last.version;

  async function sleepUnlessDraining(ms: number): Promise<void> {
    try {
      await clock.sleep(ms, { signal: anyOf(signal, draining) });
    } catch (error) {
      if (signal?.aborted || !draining?.aborted) throw error;
    }
  }
}

const isDead = async (holder: ProcessIdentity, { writer, isProvenDead: judge }: LeaseWaitOptions): Promise<boolean> =>
  judge ? judge(holder) : writer !== undefined && isProvenDead(holder, writer.process);

/**
 * Another process than ours: within one, an earlier holder is a matter of its lease alone. Where somebody else judges who
 * is dead, this machine is asked nothing at all.
 */
const isSeenAlive = async (
  holder: ProcessIdentity,
  { writer, isProvenDead: judge }: LeaseWaitOptions,
): Promise<boolean> =>
  judge === undefined &&
  writer !== undefined &&
  holder.pid !== writer.process.pid &&
  isProvenAlive(holder, writer.process);

function sayWhy(log: Log, { document }: StoredHead, { standby, alive }: { standby: boolean; alive: boolean }): void {
  const { ttlMs, process, owner, generation } = document;
  const holder = `process ${process.pid} on ${process.host}`;
  const seconds = ttlMs / 1000;
  log.info(
    standby
      ? `on standby: ${holder} holds the lease; it is taken when that process hands over, or has not renewed for ${seconds} s`
      : `the lease is held by ${holder}, which ${alive ? 'runs on this machine' : 'cannot be proven dead'}; waiting ${seconds} s for it to renew or expire`,
    { owner, generation },
  );
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

/** The error for a head that is not ours to take, be it another owner's or that of another process of ours. */
export function leaseHeld(
  client: ReplicaClient,
  { document }: StoredHead,
  { isOurOwner = false }: { readonly isOurOwner?: boolean } = {},
): LeaseHeldError {
  const { owner, process, generation, renewedAt } = document;
  const seconds = new Date(Number(renewedAt / 1000n)).toISOString();
  return new LeaseHeldError(
    `the backup ${client.url} belongs to owner ${owner} (process ${process.pid} on ${process.host}, last renewed ${seconds})`,
    {
      hint: isOurOwner
        ? 'That process writes there, and stores what is new by itself. To write from here instead, stop it first; `-standby` waits for it.'
        : `Replicate to another prefix. If this machine is the rightful successor, stop the other writer and set "owner: ${owner}" here.`,
      facts: { url: client.url, owner, generation },
    },
  );
}
